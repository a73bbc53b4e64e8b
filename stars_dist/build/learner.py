"""The learner side of a run, built from its plan: the same under Ray and in one process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from actors.policy_weights import PolicyWeights
from learner.checkpoint import restore_learner, write_checkpoint
from learner.loop import LearnerLoop, LearnerReport, LoopOutputs
from learner.matmul_precision import set_matmul_precision
from learner.prefetch import BatchSource
from learner.sac import SacLearner
from learner.update_mode import EAGER, static_mode
from replay_service.sampler import ReplaySampler
from replay_service.transport import Transport
from stars_dist.config.run_plan import RunPlan
from stars_dist.run_files.directory import RunDirectory
from stars_dist.schedule import checkpoint_period_updates


def choose_device(device: str) -> torch.device:
    """Choose where to compute: `auto` is a GPU where there is one; ValueError for `cuda` without one."""
    has_gpu = torch.cuda.is_available()
    if device == "cuda" and not has_gpu:
        raise ValueError(
            "device cuda needs a GPU that torch can use, it finds none; use --device cpu or auto"
        )
    return torch.device("cuda" if has_gpu and device != "cpu" else "cpu")


def fresh_learner(plan: RunPlan) -> SacLearner:
    """Build the learner of a run before its first update."""
    config = plan.config
    device = choose_device(config.device)
    set_matmul_precision(config.learner.matmul_precision, device)
    is_static = config.learner.static_shapes == "on" or (
        config.learner.static_shapes == "auto" and device.type == "cuda"
    )
    mode = static_mode(config.sampling, plan.num_tasks) if is_static else EAGER
    names = plan.suite.task_names
    return SacLearner(config.network, config.sac, plan.replay.spec, names, device, config.seed, mode)


class BuiltLearner(NamedTuple):
    """The learner with what surrounds it."""

    learner: SacLearner
    sampler: ReplaySampler
    source: BatchSource
    loop: LearnerLoop


def build_learner(
    run: RunDirectory,
    plan: RunPlan,
    transport: Transport,
    checkpoint: Path | None,
    source_class: type[BatchSource],
    publish: Callable[[PolicyWeights], None],
    report: Callable[[LearnerReport], None],
) -> BuiltLearner:
    """Build the learner of a run, as it was at a checkpoint if there is one.

    Its loop publishes weights and reports metrics through the callables, and writes checkpoints into the run.
    """
    config = plan.config
    learner, sampler = fresh_learner(plan), ReplaySampler(plan.replay, transport)
    if checkpoint is not None:
        sampler.load_state_dict(restore_learner(learner, checkpoint)["sampler"])
    source = source_class(
        sampler,
        learner.device,
        config.learner,
        config.sampling.is_exponent,
        plan.total_updates,
        learner.learner_steps,
    )

    def save() -> None:
        steps = learner.learner_steps
        state: dict[str, Any] = {"env_steps": sampler.env_steps, "sampler": sampler.state_dict(steps)}
        sampler.flush()
        write_checkpoint(run.path, learner, config.suite, state, config.checkpoint.keep_last)

    def report_all(learned: LearnerReport) -> None:
        """Report what the learner does, with what only its sampler knows."""
        quota = dict(zip(learner.task_names, sampler.newest_group_sizes, strict=True))
        values = learned.values | {f"sampling/quota/{name}": float(rows) for name, rows in quota.items()}
        report(learned._replace(values=values | sampler.metrics()))

    outputs = LoopOutputs(publish, report_all, save)
    period = checkpoint_period_updates(plan)
    loop = LearnerLoop(learner, source, config.learner, outputs, plan.total_updates, period)
    return BuiltLearner(learner, sampler, source, loop)
