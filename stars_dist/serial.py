"""A serial run: the same parts in one process without Ray, in lock-step and bit-reproducible.

Every round steps each task's environment by one chunk, then makes the updates that are due. Two runs with one
seed end with the same weights and the same metrics, but for wall time and `perf/`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import torch

from actors.evaluation_result import EvaluationResult
from actors.evaluator import evaluate_suite
from actors.policy_weights import PolicyWeights
from actors.suites import prepare_suite
from actors.sync import ActorStats, SyncReply
from learner.checkpoint import weights_hash
from learner.loop import LearnerReport
from learner.prefetch import BatchSource
from learner.publisher import export_policy
from replay_service.shard import Shard
from replay_service.transport import LocalTransport
from stars_dist.build.device import choose_device, device_use
from stars_dist.build.learner import build_learner
from stars_dist.build.rollout import build_worker
from stars_dist.config.run_plan import RunPlan
from stars_dist.errors import checking_input
from stars_dist.interruption import Interruption, RunInterruptedError
from stars_dist.monitor.console import Console
from stars_dist.monitor.metrics import recorded_updates
from stars_dist.monitor.recorder import Recorder
from stars_dist.monitor.run_monitor import RunMonitor
from stars_dist.run_files.directory import RunDirectory
from stars_dist.run_files.replay_files import PeriodicSnapshots
from stars_dist.run_files.resume_point import Start
from stars_dist.run_files.snapshot_place import snapshot_store
from stars_dist.schedule import evaluation_period


class SerialRun:
    """Worker, shards and learner of one run, driven in turn."""

    def __init__(
        self, run: RunDirectory, plan: RunPlan, monitor: RunMonitor, checkpoint: Path | None
    ) -> None:
        torch.set_num_threads(plan.config.learner.torch_threads or 1)
        self._run, self._plan, self._monitor = run, plan, monitor
        snapshots = snapshot_store(run, plan).directory
        num_shards = plan.replay.num_shards
        self._shards = [Shard(i, plan.replay, run.replay, snapshots) for i in range(num_shards)]
        self._published: PolicyWeights | None = None
        self._reports: list[LearnerReport] = []
        transport = LocalTransport(self._shards)
        self._learner = build_learner(
            run, plan, transport, checkpoint, BatchSource, self._publish, self._reports.append
        )
        self._worker = build_worker(run, plan, transport, 0, run.num_resumes, self._sync)
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
        evaluations = evaluation_period(self._plan, self._monitor.env_steps)
        self._learner.loop.publish()
        while not self.is_finished and not interruption.is_set():
            self._round()
            self._snapshots.advance(self._monitor.env_steps)
            if evaluations.is_due(self._monitor.env_steps) and self._learner.loop.learner_steps:
                self._evaluate_between(interruption)
        self._learner.loop.stop()  # or an interrupted run would wait here for batches that nobody collects
        self._learner.loop.run()  # publishes and saves
        if not self.is_finished:
            raise RunInterruptedError

    def _evaluate_between(self, interruption: Interruption) -> None:
        episodes = self._plan.config.evaluation.episodes_per_task
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
        for shard in self._shards:
            shard.close()

    def _round(self) -> None:
        """Collect one chunk of every task, then make the updates that its steps call for."""
        loop, monitor = self._learner.loop, self._monitor
        self._learner.sampler.refresh(loop.learner_steps)  # the shards admit inserts up to its limit
        self._worker.collect_chunk()
        self._record_shards()
        due = min(int(self._plan.replay.updates_due(monitor.env_steps)), self._plan.total_updates)
        while loop.learner_steps < due and loop.step():
            monitor.record_learner(loop.learner_steps, tuple(self._reports))
            self._reports.clear()
            monitor.show_progress()
        monitor.record_actor(self._worker.stats())
        monitor.write_metrics()

    def _record_shards(self) -> None:
        for index, shard in enumerate(self._shards):
            self._monitor.record_shard(index, shard.stats())

    def _publish(self, weights: PolicyWeights) -> None:
        self._published = weights

    def _sync(self, stats: ActorStats) -> SyncReply:
        newest = self._published
        return SyncReply(None if newest is None or newest.version == stats.weights_version else newest)


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
    with closing(Recorder(run, console.line, start.metrics_end)) as recorder:
        console.phase("computing the tasks' goals")
        with interruption.raising():
            prepare_suite(plan.suite, plan.config.seed, run.goals_file)
        reported = recorded_updates(run.metrics_file)
        monitor = RunMonitor(plan, recorder, console, start.learner_steps, reported)
        interruption.learner_steps = lambda: monitor.learner_steps
        with closing(SerialRun(run, plan, monitor, start.checkpoint)) as serial:
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
