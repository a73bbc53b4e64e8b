"""The learner side of a run, built from its plan: the same under Ray and in one process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from actors.policy_weights import PolicyWeights
from learner.checkpoint import LearnerCopy, copy_learner, restore_learner, write_copy
from learner.checkpoint_period import CheckpointPeriod
from learner.checkpoint_writer import CheckpointWriter
from learner.diagnostics import UpdateResult
from learner.draw_board import StoreBoard
from learner.learner_group import ALONE, LearnerGroup
from learner.loop import LearnerLoop, LearnerReport, LoopOutputs
from learner.matmul_precision import set_matmul_precision
from learner.mirror_feed import MirrorFeed
from learner.mirror_source import MirrorSource, MirrorUpdate
from learner.prefetch import BatchSource, PrefetchSource
from learner.replay_mirror import ReplayMirror
from learner.sac import SacLearner
from learner.update_mode import EAGER, static_mode
from learner.update_program import BatchUpdate
from replay_service.full_disk import DiskPause
from replay_service.sampler import ReplaySampler
from replay_service.shared_draws import SharedSampler
from replay_service.transport import Transport
from stars_dist.build.device import DeviceUse, choose_device, device_use
from stars_dist.config.run_config import RunConfig
from stars_dist.config.run_plan import RunPlan
from stars_dist.run_files.directory import RunDirectory
from stars_dist.run_files.remote_copy import RemoteCopy
from stars_dist.run_files.replay_files import replay_state
from stars_dist.schedule import checkpoint_period_updates


def fresh_learner(plan: RunPlan) -> SacLearner:
    """Build the learner of a run before its first update."""
    return learner_on(plan, device_use(plan, choose_device(plan.config.device)))


def learner_on(plan: RunPlan, use: DeviceUse, group: LearnerGroup = ALONE) -> SacLearner:
    """Build the learner of a run for a device, or one of several."""
    config = plan.config
    set_matmul_precision(config.learner.matmul_precision, use.device)
    mode = static_mode(config.sampling, plan.num_tasks, group.size) if use.is_static else EAGER
    names, spec = plan.suite.task_names, plan.replay.spec
    return SacLearner(config.network, config.sac, spec, names, use.device, config.seed, mode, group)


class LearnerOutlets(NamedTuple):
    """Where a learner's results go."""

    publish: Callable[[PolicyWeights], None]
    report: Callable[[LearnerReport], None]
    tell: Callable[[str], None]  # lines for the person who watches, from any thread


class LearnerSeat(NamedTuple):
    """A learner's place among those of a run."""

    group: LearnerGroup = ALONE
    board: StoreBoard | None = None  # of several learners


LONE_SEAT = LearnerSeat()


class BuiltLearner(NamedTuple):
    """The learner with what surrounds it."""

    learner: SacLearner
    sampler: ReplaySampler
    source: BatchSource | MirrorSource
    loop: LearnerLoop


def checkpoint_pause(run: RunDirectory, tell: Callable[[str], None]) -> DiskPause:
    """Tell when a full disk pauses the checkpoints of a run, and when they go on."""
    return DiskPause("checkpoints", run.checkpoints, tell)


def checkpoint_period(plan: RunPlan) -> CheckpointPeriod:
    """Schedule the checkpoints of a run."""
    return CheckpointPeriod(checkpoint_period_updates(plan), plan.config.checkpoint.every_s)


def build_learner(
    run: RunDirectory,
    plan: RunPlan,
    transport: Transport,
    checkpoint: Path | None,
    source_class: type[BatchSource],
    outlets: LearnerOutlets,
    period: CheckpointPeriod,
    seat: LearnerSeat = LONE_SEAT,
) -> BuiltLearner:
    """Build the learner of a run, as it was at a checkpoint if there is one.

    Its loop publishes weights and reports metrics through the outlets, and writes checkpoints into the run.
    """
    config = plan.config
    use = device_use(plan, choose_device(config.device))
    learner, sampler = learner_on(plan, use, seat.group), ReplaySampler(plan.replay, transport)
    if checkpoint is not None:
        sampler.load_state_dict(restore_learner(learner, checkpoint)["sampler"])
    shared = None
    if seat.board is not None:
        group = seat.group
        shared = SharedSampler(plan.replay, transport, sampler, seat.board, group.rank, group.size)
    source, update = _feeding(plan, use, learner, sampler, source_class, shared)

    def report_all(learned: LearnerReport) -> None:
        """Report what the learner does, with what only its sampler knows."""
        quota = dict(zip(learner.task_names, sampler.newest_group_sizes, strict=True))
        values = learned.values | {f"sampling/quota/{name}": float(rows) for name, rows in quota.items()}
        outlets.report(learned._replace(values=values | sampler.metrics()))

    writer = _checkpoint_writer(run, config, learner, sampler, outlets.tell)
    outputs = LoopOutputs(outlets.publish, report_all, writer.save, writer.check, writer.settle)
    if seat.group.rank > 0:  # the first learner saves, for all
        outputs = LoopOutputs(outlets.publish, outlets.report, lambda: None)
    # of a distributed run, which need not be reproducible
    is_beside = issubclass(source_class, PrefetchSource)
    loop = LearnerLoop(
        learner, source, config.learner, outputs, plan.total_updates, period, update, is_beside
    )
    return BuiltLearner(learner, sampler, source, loop)


def _feeding(
    plan: RunPlan,
    use: DeviceUse,
    learner: SacLearner,
    sampler: ReplaySampler,
    source_class: type[BatchSource],
    shared: SharedSampler | None,
) -> tuple[BatchSource | MirrorSource, Callable[[Any], UpdateResult]]:
    """Build where updates get their batches from, and the update that takes them."""
    config, total, steps = plan.config, plan.total_updates, learner.learner_steps
    if not use.uses_mirror:
        exponent = config.sampling.is_exponent
        source = source_class(shared or sampler, use.device, config.learner, exponent, total, steps)
        return source, BatchUpdate(learner, total, use.uses_graph)
    capacity, every = config.replay.capacity_per_task, config.learner.batches_per_call
    # a resumed run does not draw the same again
    seed = int(np.random.SeedSequence([config.seed, steps]).generate_state(1)[0])
    mirror = ReplayMirror(
        plan.replay.spec, capacity, config.sampling, every, use.device, seed, plan.replay.gamma
    )
    update = MirrorUpdate(learner, mirror, config.sampling, total, use.uses_graph)
    feed = MirrorFeed(plan.replay, sampler, mirror)
    uses_thread = issubclass(source_class, PrefetchSource)
    flush = config.learner.mirror_flush_updates
    return MirrorSource(sampler, feed, update, flush, steps, uses_thread), update


def _checkpoint_writer(
    run: RunDirectory,
    config: RunConfig,
    learner: SacLearner,
    sampler: ReplaySampler,
    tell: Callable[[str], None],
) -> CheckpointWriter:
    pause, remote = checkpoint_pause(run, tell), RemoteCopy.of(config.checkpoint.directory, run.path)
    keep_last = config.checkpoint.keep_last

    def copy() -> LearnerCopy:
        steps = learner.learner_steps
        state: dict[str, Any] = {"env_steps": sampler.env_steps, "sampler": sampler.state_dict(steps)}
        return copy_learner(learner, config.suite, state | replay_state(run))

    def write_there(copied: LearnerCopy) -> None:
        run.check_there()
        sampler.flush()
        write_copy(run.path, copied, keep_last)

    def write(copied: LearnerCopy) -> bool:
        took = pause.attempt(lambda: write_there(copied))
        if took and remote is not None:
            remote.save(run, run.checkpoint(copied.learner_steps), keep_last, tell)
        return took

    return CheckpointWriter(copy, write)
