"""The monitor of a run: gathers what actors, shards and learner report, records it and shows progress."""

from __future__ import annotations

import time
from collections import Counter, deque

import numpy as np

from actors.evaluation_result import EvaluationResult
from actors.sync import ActorStats
from learner.loop import LearnerReport
from replay_service.types import ShardStats
from stars_dist.config.run_plan import RunPlan
from stars_dist.monitor import replay_metrics
from stars_dist.monitor.console import Console
from stars_dist.monitor.evaluation_metrics import evaluation_metrics
from stars_dist.monitor.health import Health
from stars_dist.monitor.memory import process_tree_gib
from stars_dist.monitor.recorder import Recorder

RECORD_PERIOD_S = 5.0
RATE_RECORDS = 7  # records that env_steps_per_s is taken over: steps arrive in whole chunks of every task


class RunMonitor:
    """Holds the newest report of every process. `tick` writes metrics by the clock; a serial run writes by itself."""

    def __init__(self, plan: RunPlan, recorder: Recorder, console: Console) -> None:
        self.actors_alive = 0
        self.peak_memory_gib = 0.0
        self.learner_steps = 0
        self._plan, self._recorder, self._console = plan, recorder, console
        self._health = Health.of(plan)
        self._actors: dict[int, ActorStats] = {}
        self._shards: dict[int, ShardStats] = {}
        self._restarts: Counter[str] = Counter()
        self._recorded_at = time.monotonic()
        self._recent: deque[tuple[float, int]] = deque(maxlen=RATE_RECORDS)  # time and steps of records
        self._steps_per_s = 0.0
        self._updates_per_s = 0.0
        self._all_tasks_have_data = False

    @property
    def env_steps(self) -> int:
        """Transitions ever stored, by the newest counters."""
        return replay_metrics.env_steps(list(self._shards.values()))

    def log(self, text: str) -> None:
        """Print a line for the person who watches."""
        self._console.line(text)

    def record_actor(self, stats: ActorStats) -> None:
        """Keep the newest stats of an actor."""
        self._actors[stats.actor] = stats

    def record_shard(self, index: int, stats: ShardStats) -> None:
        """Keep the newest counters of a shard; log when all tasks have their first transitions."""
        self._shards[index] = stats
        if not self._all_tasks_have_data and self._tasks_with_data == self._plan.num_tasks:
            self._all_tasks_have_data = True
            seconds = self._console.elapsed_s
            self.log(f"first transitions of all {self._plan.num_tasks} tasks {seconds:.1f} s after the start")

    def record_learner(self, learner_steps: int, reports: tuple[LearnerReport, ...]) -> None:
        """Keep the learner's clock and write its reports."""
        self.learner_steps = learner_steps
        for report in reports:
            self._updates_per_s = report.values.get("perf/updates_per_s", 0.0)
            self._recorder.write(report.env_steps, report.learner_steps, report.values)
            self._health.record_learner(report.values)

    def record_evaluation(self, result: EvaluationResult) -> None:
        """Write and log an evaluation."""
        self._recorder.write(result.env_steps, result.learner_steps, evaluation_metrics(result))
        self._health.record_evaluation(np.array([task.success_rate for task in result.tasks]))
        self.log(
            f"evaluation at {result.env_steps:,} steps: mean success {result.mean_success:.2f}, "
            f"worst 5 {result.worst_5_mean:.2f}, std across tasks {result.std_across_tasks:.2f}"
        )

    def count_restart(self, kind: str) -> None:
        """Count a restarted process; `kind` is actor, shard or learner."""
        self._restarts[kind] += 1

    def tick(self) -> None:
        """Refresh the console, and write metrics when it is time."""
        self.show_progress()
        if time.monotonic() - self._recorded_at >= RECORD_PERIOD_S:
            self.write_metrics()

    def show_progress(self) -> None:
        """Refresh the console."""
        self._console.progress(self._progress())

    def write_metrics(self) -> None:
        """Write the newest of everything, and new warnings; nothing until every shard has reported."""
        if len(self._shards) < self._plan.replay.num_shards:
            return
        now, steps = time.monotonic(), self.env_steps
        self._recorded_at = now
        self._recent.append((now, steps))
        first_time, first_steps = self._recent[0]
        self._steps_per_s = (steps - first_steps) / max(now - first_time, 1e-9)
        shards = list(self._shards.values())
        values = replay_metrics.replay_metrics(shards, self._plan.suite.task_names) | self._perf()
        self._health.record_training(replay_metrics.success_by_task(shards))
        self._recorder.write(steps, self.learner_steps, values | self._health.metrics())
        if self.learner_steps:
            for warning in self._health.warnings(steps):
                self.log(f"warning: {warning}")

    def _perf(self) -> dict[str, float]:
        memory = process_tree_gib()
        self.peak_memory_gib = max(self.peak_memory_gib, memory)
        values = {
            "perf/env_steps_per_s": self._steps_per_s,
            "perf/actors_alive": float(self.actors_alive),
            "perf/memory_gib": memory,
            "perf/samples_per_insert": self._plan.replay.measured_samples_per_insert(
                self.env_steps, self.learner_steps
            ),
        }
        values |= {f"perf/restarts/{kind}": float(count) for kind, count in self._restarts.items()}
        return values | {f"perf/actor/{name}": share for name, share in self.actor_shares().items()}

    def actor_shares(self) -> dict[str, float]:
        """Average over the actors the shares of their time: environment, policy, sending, waiting."""
        shares = [stats.shares() for stats in self._actors.values()]
        return (
            {name: float(np.mean([share[name] for share in shares])) for name in shares[0]} if shares else {}
        )

    @property
    def _tasks_with_data(self) -> int:
        return replay_metrics.tasks_with_data(list(self._shards.values()))

    def _progress(self) -> str:
        actors = f"actors {self.actors_alive}/{self._plan.num_actors}"
        if not self._all_tasks_have_data:
            return f"starting: {actors} ready, {self._tasks_with_data}/{self._plan.num_tasks} tasks have transitions"
        steps, total = self.env_steps, self._plan.total_steps
        phase = "training" if self.learner_steps else "warming up"
        success = replay_metrics.success_words(list(self._shards.values()))
        return (
            f"{phase} {steps:,}/{total:,} steps ({100 * steps // total} %), {self._steps_per_s:.0f} steps/s, "
            f"{self._updates_per_s:.1f} updates/s, update {self.learner_steps:,}/{self._plan.total_updates:,}, "
            f"{success}, {actors}{self._time_left(steps)}"
        )

    def _time_left(self, steps: int) -> str:
        if not self.learner_steps or self._steps_per_s <= 0:
            return ""
        seconds = max(0, self._plan.total_steps - steps) / self._steps_per_s
        return f", about {seconds / 60:.0f} min left" if seconds >= 90 else f", about {seconds:.0f} s left"
