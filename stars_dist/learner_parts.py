"""The learner side of a run, built from its configuration: the same under Ray and in one process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from actors.policy import PolicyWeights
from learner.checkpoint import restore_learner, write_checkpoint
from learner.loop import LearnerLoop, LearnerReport, LoopOutputs
from learner.prefetch import BatchSource
from learner.sac import SacLearner
from replay_service.sampler import ReplaySampler
from replay_service.transport import Transport
from stars_dist.config import RunConfig


def choose_device(device: str) -> torch.device:
    """`auto` is a GPU where there is one; ValueError for `cuda` without one."""
    has_gpu = torch.cuda.is_available()
    if device == "cuda" and not has_gpu:
        raise ValueError(
            "device cuda needs a GPU that torch can use, it finds none; use --device cpu or auto"
        )
    return torch.device("cuda" if has_gpu and device != "cpu" else "cpu")


def fresh_learner(config: RunConfig) -> SacLearner:
    """The learner of a run before its first update."""
    spec, names = config.replay_plan().spec, config.load_suite().task_names
    return SacLearner(config.network, config.sac, spec, names, choose_device(config.device), config.seed)


class LearnerParts:
    """The learner with everything around it: sampler, batch source, loop, checkpoints."""

    def __init__(
        self,
        config: RunConfig,
        run_dir: Path,
        transport: Transport,
        checkpoint: Path | None,
        source_class: type[BatchSource],
        publish: Callable[[PolicyWeights], None],
        report: Callable[[LearnerReport], None],
    ) -> None:
        self._config, self._run_dir, self._report = config, run_dir, report
        plan = config.replay_plan()
        self.learner = fresh_learner(config)
        self.sampler = ReplaySampler(plan, transport)
        if checkpoint is not None:
            self.sampler.load_state_dict(restore_learner(self.learner, checkpoint)["sampler"])
        source = source_class(
            self.sampler,
            self.learner.device,
            config.learner,
            config.sampling.is_exponent,
            config.total_updates,
            self.learner.learner_steps,
        )
        outputs = LoopOutputs(publish, self._report_all, self.save)
        save_every = config.updates_between(config.checkpoint.every_env_steps or config.total_steps)
        self.loop = LearnerLoop(
            self.learner, source, config.learner, outputs, config.total_updates, save_every
        )

    def save(self) -> None:
        """Writes a checkpoint of this moment."""
        write_checkpoint(
            self._run_dir, self.learner, self._config.suite, self.state(), self._config.checkpoint.keep_last
        )

    def state(self) -> dict[str, Any]:
        """The counters of a checkpoint."""
        steps = self.learner.learner_steps
        return {"env_steps": self.sampler.env_steps, "sampler": self.sampler.state_dict(steps)}

    def _report_all(self, report: LearnerReport) -> None:
        names = self.learner.task_names
        quota = self.sampler.newest_quota
        values = report.values | {
            f"sampling/quota/{name}": float(q) for name, q in zip(names, quota, strict=True)
        }
        self._report(report._replace(values=values | self.sampler.metrics()))
