"""A serial run: the same parts in one process without Ray, in lock-step and bit-reproducible.

Every round steps each task's environment by one chunk, then makes the updates that are due. Two runs with one
seed end with the same weights and the same metrics, but for wall time and `perf/`, also where one was killed and
resumed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import torch

from actors.evaluation_result import EvaluationResult
from actors.evaluator import evaluate_suite
from actors.policy_weights import PolicyWeights
from actors.suites import prepare_suite
from actors.sync import ActorStats, SyncReply
from learner.checkpoint import copy_learner, weights_hash, write_copy
from learner.checkpoint_period import CheckpointPeriod
from learner.checkpoint_writer import RETRY_S
from learner.loop import FULL_DISK_POLL_S, LearnerReport
from learner.prefetch import BatchSource
from learner.publisher import export_policy
from replay_service.shard import Shard
from replay_service.transport import LocalTransport
from stars_dist.build.device import choose_device, device_use
from stars_dist.build.learner import LearnerOutlets, build_learner, checkpoint_pause, checkpoint_period
from stars_dist.build.rollout import build_worker
from stars_dist.config.run_plan import RunPlan
from stars_dist.errors import checking_input
from stars_dist.interruption import Interruption, RunInterruptedError
from stars_dist.monitor.console import Console
from stars_dist.monitor.recorder import Recorder
from stars_dist.monitor.run_monitor import RunMonitor
from stars_dist.monitor.trackers import open_mirrors
from stars_dist.run_files.directory import RunDirectory
from stars_dist.run_files.recorded import METRICS_SIZE
from stars_dist.run_files.remote_copy import RemoteCopy
from stars_dist.run_files.replay_files import PeriodicSnapshots, replay_state
from stars_dist.run_files.resume_point import Start
from stars_dist.run_files.snapshot_place import snapshot_store
from stars_dist.schedule import evaluation_period
from stars_dist.serial.serial_state import SerialState, restore_replay


class SerialRun:
    """Worker, shards and learner of one run, driven in turn: collect, learn, collect, learn.

    A checkpoint may be written after every update and holds all that is to come: a run that was killed and goes on
    from it makes the same updates and writes the same metrics as one that was not.
    """

    def __init__(self, run: RunDirectory, plan: RunPlan, monitor: RunMonitor, start: Start) -> None:
        torch.set_num_threads(plan.config.learner.torch_threads or 1)
        self._run, self._plan, self._monitor = run, plan, monitor
        self._shards = _open_shards(run, plan, start)
        self._published: PolicyWeights | None = None
        self._reports: list[LearnerReport] = []
        transport = LocalTransport(self._shards)
        self._learner = build_learner(
            run,
            plan,
            transport,
            start.checkpoint,
            BatchSource,
            LearnerOutlets(self._publish, self._reports.append, monitor.log),
            CheckpointPeriod(),
        )
        incarnation = 0 if start.is_exact else run.num_resumes
        self._worker = build_worker(run, plan, transport, 0, incarnation, self._sync)
        self._state = SerialState(self._shards, self._learner, self._worker, monitor)
        self._checkpoints = checkpoint_period(plan)
        self._pause, self._tried_at = checkpoint_pause(run, monitor.log), 0.0
        self._remote = RemoteCopy.of(plan.config.checkpoint.directory, run.path)
        self._is_learning = False
        if start.is_exact and start.checkpoint is not None:
            self._published, self._is_learning = self._state.read(start.checkpoint)
        else:
            self._learner.loop.publish()
        self._monitor.actors_alive = 1
        self._record_shards()
        self._snapshots = PeriodicSnapshots(run, plan, transport, monitor.env_steps, monitor.log)

    @property
    def is_finished(self) -> bool:
        """Whether every step is made and learned from."""
        return self._worker.finished and self._learner.loop.is_finished

    def train(self, interruption: Interruption) -> None:
        """Train to the step budget; a checkpoint is written in any case.

        Raises:
            RunInterruptedError: a signal came before the run was done.
        """
        evaluations = evaluation_period(self._plan, self._monitor.evaluated_at)
        while not self.is_finished and not interruption.is_set():
            if not self._is_learning:
                if self._learner.loop.learner_steps and evaluations.is_due(self._monitor.env_steps):
                    self._evaluate_between(interruption)
                    continue
                self._collect()
            self._learn(interruption)
            self._snapshots.advance(self._monitor.env_steps)
        self._save()
        while self._pause.is_paused and not interruption.wait(FULL_DISK_POLL_S):
            self._save()
        if not self.is_finished or self._pause.is_paused:
            raise RunInterruptedError

    def _evaluate_between(self, interruption: Interruption) -> None:
        episodes = self._plan.config.evaluation.episodes_per_task
        self._monitor.show_evaluation(episodes)
        try:
            with interruption.raising():
                result = self.evaluate(episodes)
        except RunInterruptedError:
            return  # the run is still to be saved
        self._monitor.record_evaluation(result)

    def evaluate(self, episodes: int) -> EvaluationResult:
        """Evaluate all tasks in this process with the weights of this moment."""
        steps, config = self._learner.loop.learner_steps, self._plan.config
        tasks = evaluate_suite(
            export_policy(self._learner.learner),
            self._plan.suite,
            episodes=episodes,
            seed=config.seed,
            environment=config.environment,
            goals_path=self._run.goals_file,
        )
        checkpoint = str(self._run.checkpoint(steps))
        return EvaluationResult(config.suite, checkpoint, self._monitor.env_steps, steps, episodes, tasks)

    def weights_hash(self) -> str:
        """Hash every parameter of actor, critics and target critics with SHA-256."""
        return weights_hash(self._learner.learner)

    def close(self) -> None:
        """Release the replay's files."""
        self._learner.source.close()
        for shard in self._shards:
            shard.close()

    def _collect(self) -> None:
        """Collect one chunk of every task."""
        self._learner.sampler.refresh(
            self._learner.loop.learner_steps
        )  # shards admit inserts up to its limit
        self._worker.collect_chunk()
        self._record_shards()
        self._is_learning = True

    def _learn(self, interruption: Interruption) -> None:
        """Make the updates that the steps collected call for, and write the metrics of the round."""
        loop, monitor = self._learner.loop, self._monitor
        # What the sampler knows of the shards is what they hold, also where a run goes on in the middle of this.
        self._learner.sampler.refresh(loop.learner_steps)
        due = self._plan.updates_due(monitor.env_steps)
        while loop.learner_steps < due and loop.step():
            monitor.record_learner(loop.learner_steps, tuple(self._reports))
            self._reports.clear()
            monitor.show_progress()
            if self._checkpoints.is_due(loop.learner_steps) or self._is_room_sought():
                self._save()
            if interruption.is_set():
                return
        monitor.record_actor(self._worker.stats())
        self._record_shards()
        monitor.write_metrics()
        self._is_learning = False

    def _save(self) -> None:
        learner, steps = self._learner.learner, self._learner.loop.learner_steps
        learner.guard.raise_if_tripped()
        state: dict[str, Any] = {
            "env_steps": self._monitor.env_steps,
            "sampler": self._learner.sampler.state_dict(steps),
            **replay_state(self._run),
        }
        self._learner.source.flush()  # nothing but with a mirror
        if self._state.is_whole:
            state[METRICS_SIZE] = self._monitor.metrics_size_bytes

        def write() -> None:
            self._run.check_there()
            for shard in self._shards:
                shard.flush()
            copy = copy_learner(learner, self._plan.config.suite, state)
            keep_last = self._plan.config.checkpoint.keep_last
            self._state.written(write_copy(self._run.path, copy, keep_last, self._add_state))

        if self._pause.attempt(write) and self._remote is not None:
            keep_last = self._plan.config.checkpoint.keep_last
            self._remote.save(self._run, self._run.checkpoint(steps), keep_last, self._monitor.log)
        self._tried_at = time.monotonic()
        self._checkpoints.restart(steps)

    def _is_room_sought(self) -> bool:
        """Return whether a full disk is to be tried again."""
        return self._pause.is_paused and time.monotonic() - self._tried_at >= RETRY_S

    def _add_state(self, checkpoint: Path) -> None:
        assert self._published is not None, "published at the start"
        if self._state.is_whole:
            self._state.write(checkpoint, self._published, self._is_learning)

    def _record_shards(self) -> None:
        for index, shard in enumerate(self._shards):
            self._monitor.record_shard(index, shard.stats())

    def _publish(self, weights: PolicyWeights) -> None:
        self._published = weights

    def _sync(self, stats: ActorStats) -> SyncReply:
        newest = self._published
        return SyncReply(None if newest is None or newest.version == stats.weights_version else newest)


def _open_shards(run: RunDirectory, plan: RunPlan, start: Start) -> list[Shard]:
    snapshots = None if start.is_exact else snapshot_store(run, plan).directory
    shards = [Shard(i, plan.replay, run.replay, snapshots) for i in range(plan.replay.num_shards)]
    if start.is_exact and start.checkpoint is not None:
        restore_replay(shards, start.checkpoint)
    return shards


def train_serially(
    run: RunDirectory,
    plan: RunPlan,
    console: Console,
    begin: Callable[[Console], Start],
    interruption: Interruption,
) -> EvaluationResult:
    """Train to the step budget and evaluate; RunInterruptedError after a signal."""
    with checking_input():
        device_use(plan, choose_device(plan.config.device))
    start = begin(console)
    mirrors = open_mirrors(run, plan.config, console.line)
    with closing(Recorder(run, console.line, start.metrics_end, mirrors)) as recorder:
        console.phase("computing the tasks' goals")
        with interruption.raising():
            prepare_suite(plan.suite, plan.config.seed, run.goals_file)
        monitor = RunMonitor(plan, recorder, console, start.learner_steps)
        interruption.learner_steps = lambda: monitor.learner_steps
        with closing(SerialRun(run, plan, monitor, start)) as serial:
            console.phase("training in one process")
            serial.train(interruption)
            console.line(
                f"{monitor.env_steps:,} environment steps, {monitor.learner_steps:,} updates; {monitor.pace()}"
            )
            console.phase(f"evaluating all {plan.num_tasks} tasks")
            with interruption.raising():
                result = serial.evaluate(plan.config.evaluation.final_episodes_per_task)
            monitor.record_evaluation(result)
            console.line(f"sha256 of the weights: {serial.weights_hash()}")
            return result
