"""A serial run: the same parts in one process without Ray, in lock-step and bit-reproducible.

Every round steps each task's environment by one chunk, then makes the updates that are due. Two runs with one
seed end with the same weights and the same metrics, but for wall time and `perf/`.
"""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import torch

from actors.evaluation_result import EvaluationResult
from actors.evaluator import evaluate_suite
from actors.goals import prepare_goals
from actors.policy import PolicyWeights
from learner.loop import LearnerReport
from learner.prefetch import BatchSource
from learner.publisher import export_policy
from replay_service.shard import Shard
from replay_service.transport import LocalTransport
from stars_dist.config import RunConfig
from stars_dist.evaluation_schedule import EvaluationClock
from stars_dist.learner_parts import LearnerParts
from stars_dist.monitor.console import Console
from stars_dist.monitor.run_monitor import RunMonitor
from stars_dist.resume_point import prepare_start
from stars_dist.rollout_parts import GOALS_FILE, build_assignment, build_worker
from stars_dist.run_directory import RunDirectory
from stars_dist.weight_store import WeightStore


class SerialRun:
    """Worker, shards and learner of one run, driven in turn."""

    def __init__(
        self, config: RunConfig, run: RunDirectory, monitor: RunMonitor, checkpoint: Path | None
    ) -> None:
        torch.set_num_threads(config.learner.torch_threads or 1)
        self._config, self._run, self._monitor = config, run, monitor
        self._plan = config.replay_plan()
        self._shards = [Shard(i, self._plan, run.replay) for i in range(self._plan.num_shards)]
        self._store: WeightStore[PolicyWeights] = WeightStore()
        self._reports: list[LearnerReport] = []
        transport = LocalTransport(self._shards)
        self._parts = LearnerParts(
            config, run.path, transport, checkpoint, BatchSource, self._publish, self._reports.append
        )
        starts = len(run.read_provenance()["resumes"])
        assignment = build_assignment(config, 0, starts, run.path)
        self._worker = build_worker(config, assignment, transport, self._latest_weights)
        self._monitor.actors_alive = 1
        self._hear_shards()

    @property
    def is_finished(self) -> bool:
        return self._worker.finished and self._parts.loop.is_finished

    def train(self, interrupted: threading.Event) -> bool:
        """Trains to the step budget; False if interrupted. A checkpoint is written in either case."""
        clock = EvaluationClock(self._config, self._monitor.env_steps)
        self._parts.loop.publish()
        while not self.is_finished and not interrupted.is_set():
            self._round()
            if clock.is_due(self._monitor.env_steps) and self._parts.loop.learner_steps:
                self._monitor.hear_evaluation(self.evaluate(self._config.evaluation.episodes_per_task))
        self._parts.loop.stop()  # an interrupted loop would go on waiting for batches
        self._parts.loop.run()  # publishes and saves
        return self.is_finished

    def evaluate(self, episodes: int) -> EvaluationResult:
        """All tasks in this process with the weights of this moment."""
        steps = self._parts.loop.learner_steps
        tasks = evaluate_suite(
            export_policy(self._parts.learner),
            self._config.load_suite(),
            episodes=episodes,
            seed=self._config.seed,
            environment=self._config.environment,
            goals_path=self._run.path / GOALS_FILE,
        )
        checkpoint = str(self._run.checkpoints / f"step-{steps}")
        return EvaluationResult(
            self._config.suite, checkpoint, self._monitor.env_steps, steps, episodes, tasks
        )

    def weights_hash(self) -> str:
        """SHA-256 over every parameter of actor, critics and target critics."""
        learner = self._parts.learner
        digest = hashlib.sha256()
        for network in (learner.actor, learner.critic, learner.target_critic):
            for tensor in network.state_dict().values():
                digest.update(tensor.cpu().numpy().tobytes())
        return digest.hexdigest()

    def close(self) -> None:
        for shard in self._shards:
            shard.close()

    def _round(self) -> None:
        """One chunk of every task, then the updates that its steps call for."""
        self._parts.sampler.ready(
            1, self._parts.loop.learner_steps
        )  # tells the shards how much they may take in
        self._worker.collect_chunk()
        self._hear_shards()
        while self._parts.loop.learner_steps < self._updates_due and self._parts.loop.step():
            self._monitor.hear_learner(self._parts.loop.learner_steps, tuple(self._reports))
            self._reports.clear()
            self._monitor.show_progress()
        self._monitor.hear_actor(self._worker.stats())
        self._monitor.record()

    @property
    def _updates_due(self) -> int:
        after_warmup = self._monitor.env_steps - self._plan.warmup_steps * self._plan.num_tasks
        due = int(self._plan.samples_per_insert * after_warmup / self._plan.batch_size)
        return min(due, self._config.total_updates)

    def _hear_shards(self) -> None:
        for index, shard in enumerate(self._shards):
            self._monitor.hear_shard(index, shard.stats())

    def _publish(self, weights: PolicyWeights) -> None:
        self._store.publish(weights.version, weights)

    def _latest_weights(self, known_version: int | None) -> PolicyWeights | None:
        published = self._store.latest(known_version)
        return None if published is None else published.payload


def train_serially(
    run: RunDirectory, config: RunConfig, console: Console, is_resumed: bool, interrupted: threading.Event
) -> EvaluationResult | None:
    """Trains to the step budget and evaluates; None if interrupted."""
    prepare_goals(config.load_suite(), config.seed, run.path / GOALS_FILE)
    start = prepare_start(run, config, console, is_resumed)
    monitor = RunMonitor(config, start.recorder, console)
    serial = SerialRun(config, run, monitor, start.checkpoint)
    console.phase("training in one process")
    try:
        if not serial.train(interrupted):
            return None
        result = serial.evaluate(config.evaluation.final_episodes_per_task)
        monitor.hear_evaluation(result)
        console.line(f"sha256 of the weights: {serial.weights_hash()}")
        return result
    finally:
        serial.close()
        start.recorder.close()
