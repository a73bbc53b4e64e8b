"""The monitor of a run: gathers what actors, shards and learner report, records it and shows progress."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from actors.checkpoint_path import checkpoint_paths
from actors.evaluation_result import EvaluationResult
from actors.sync import ActorStats
from learner.loop import LearnerReport
from replay_service.types import ShardStats
from stars_dist.config.run_plan import RunPlan
from stars_dist.monitor import overview, replay_metrics
from stars_dist.monitor.board import Board
from stars_dist.monitor.console import Console
from stars_dist.monitor.evaluation_metrics import evaluation_metrics, evaluation_words
from stars_dist.monitor.health import Health
from stars_dist.monitor.memory import ProcessTreeMemory
from stars_dist.monitor.pace import Pace, duration_words, pace_words
from stars_dist.monitor.processor import ProcessTreeCores
from stars_dist.monitor.progress import Progress, TaskProgress
from stars_dist.monitor.recorder import Recorder

RECORD_PERIOD_S = 5.0


class RunMonitor:
    """Holds the newest report of every process. `tick` writes metrics by the clock; a serial run writes by itself."""

    def __init__(
        self,
        plan: RunPlan,
        recorder: Recorder,
        console: Console,
        learner_steps: int = 0,
        env_steps: int = 0,
        owns_processes: bool = True,
    ) -> None:
        """`learner_steps` and `env_steps` are where the run goes on.

        On a Ray cluster that ran before, the run's processes are not below this one, which does not own them.
        """
        self.actors_alive = 0
        self.peak_memory_gib = 0.0
        self.learner_steps = learner_steps
        self._least_env_steps = env_steps  # a shard that has lost rows counts less, until it is told
        self._plan, self._recorder, self._console = plan, recorder, console
        self._health = Health.of(plan)
        self._board = Board(recorder.run, plan, recorder.tensorboard, recorder.resumed_at)
        self._actors: dict[int, ActorStats] = {}
        self._shards: dict[int, ShardStats] = {}
        self._restarts: Counter[str] = Counter()
        self._recorded_at = time.monotonic()
        self._pace = Pace(plan.total_updates)
        self._memory, self._memory_gib = ProcessTreeMemory(), float("nan")
        self._cores = ProcessTreeCores() if owns_processes else None
        self._learner_waits: list[float] = []  # shares of the time of each report
        self._quota = np.full(plan.num_tasks, np.nan)  # f64[T], rows of the newest batch
        self._evaluation: str | None = None
        self._warning: str | None = None
        self._checkpoint: tuple[Path, float] | None = None  # the newest, and when it was seen
        self._all_tasks_have_data = False
        self._reported_updates = recorder.kept.reported_updates

    @property
    def metrics_size_bytes(self) -> int:
        """How much of metrics.jsonl is written."""
        return self._recorder.metrics_size_bytes

    @property
    def evaluated_at(self) -> int:
        """Environment steps of the last evaluation before this start of the run, 0 without one."""
        return self._recorder.kept.evaluated_at

    @property
    def env_steps(self) -> int:
        """Transitions ever stored, by the newest counters."""
        return max(replay_metrics.env_steps(list(self._shards.values())), self._least_env_steps)

    def log(self, text: str) -> None:
        """Print a line for the person who watches."""
        self._console.line(text)

    def record_actor(self, stats: ActorStats) -> None:
        """Keep the newest stats of an actor."""
        self._actors[stats.actor] = stats

    def record_shard(self, index: int, stats: ShardStats) -> None:
        """Keep the newest counters of a shard; log when all tasks have their first transitions."""
        self._shards[index] = stats
        self._least_env_steps = self.env_steps
        if not self._all_tasks_have_data and self._tasks_with_data == self._plan.num_tasks:
            self._all_tasks_have_data = True
            seconds = self._console.elapsed_s
            self.log(f"first transitions of all {self._plan.num_tasks} tasks {seconds:.1f} s after the start")

    def record_learner(self, learner_steps: int, reports: tuple[LearnerReport, ...]) -> None:
        """Keep the learner's clock and write its reports, each step once: after a restart it makes some again."""
        self.learner_steps = learner_steps
        self._pace.record(self.env_steps, learner_steps)
        for report in reports:
            self._learner_waits.append(report.values.get("perf/learner_wait_frac", float("nan")))
            self._quota = np.array(
                [report.values.get(f"sampling/quota/{name}", np.nan) for name in self._plan.suite.task_names]
            )
            few = overview.overview_of_learner(report.values, self._plan.suite.task_names)
            self._health.record_learner(report.values)
            if report.learner_steps > self._reported_updates:
                self._reported_updates = report.learner_steps
                self._recorder.write(report.env_steps, report.learner_steps, report.values | few)
                self._board.record_learner(report)

    def record_evaluation(self, result: EvaluationResult) -> None:
        """Write and log an evaluation."""
        values = evaluation_metrics(result) | overview.overview_of_evaluation(result)
        self._recorder.write(result.env_steps, result.learner_steps, values)
        self._board.draw(result.env_steps)
        known = [task.success_rate if task.has_success_flag else np.nan for task in result.tasks]
        self._health.record_evaluation(np.array(known))
        score = (
            f"{result.mean_success:.2f}" if result.has_success_flag else f"return {result.mean_return:.1f}"
        )
        self._evaluation = f"{score} evaluated at {result.env_steps:,} steps"
        self.log(f"evaluation at {result.env_steps:,} steps: {evaluation_words(result)}")

    def count_restart(self, kind: str) -> None:
        """Count a restarted process; `kind` is actor, shard or learner."""
        self._restarts[kind] += 1

    def state_dict(self) -> dict[str, Any]:
        """Return what later metrics and warnings depend on."""
        return {"health": self._health.state_dict(), "quota": self._quota}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self._health.load_state_dict(state["health"])
        self._quota = state["quota"]

    def tick(self) -> None:
        """Refresh the console, and write metrics when it is time."""
        self.show_progress()
        if time.monotonic() - self._recorded_at >= RECORD_PERIOD_S:
            self.write_metrics()

    def show_progress(self) -> None:
        """Refresh the console."""
        if self._all_tasks_have_data:
            self._console.progress(self._progress())
            return
        self._console.progress(
            f"starting: actors {self.actors_alive}/{self._plan.num_actors} ready, "
            f"{self._tasks_with_data}/{self._plan.num_tasks} tasks have transitions"
        )

    def show_evaluation(self, episodes: int) -> None:
        """Tell, until the next progress, that an evaluation is under way for which the run stands still."""
        self._console.progress(
            f"evaluating: {episodes} episodes for each of {self._plan.num_tasks} tasks; training goes on after it"
        )

    def write_metrics(self) -> None:
        """Write the newest of everything, and new warnings; nothing until every shard has reported."""
        if len(self._shards) < self._plan.replay.num_shards:
            return
        self._recorded_at, steps = time.monotonic(), self.env_steps
        self._pace.record(steps, self.learner_steps)
        self._look_for_checkpoint()
        shards = list(self._shards.values())
        success, returns = replay_metrics.success_by_task(shards), replay_metrics.return_by_task(shards)
        values = replay_metrics.replay_metrics(shards, self._plan.suite.task_names) | self._perf()
        values |= overview.overview_of_rollouts(success, returns)
        self._health.record_training(success)
        self._recorder.write(steps, self.learner_steps, values | self._health.metrics())
        self._board.record(steps, values)
        if self.learner_steps:
            for warning in self._health.warnings(steps):
                self._warning = f"{warning} (at {steps:,} steps)"
                self.log(f"warning: {warning}")

    def _perf(self) -> dict[str, float]:
        self._memory_gib = self._memory.gib()
        self.peak_memory_gib = max(self.peak_memory_gib, self._memory_gib)
        values = {
            "perf/env_steps_per_s": self._pace.env_steps_per_s,
            "perf/actors_alive": float(self.actors_alive),
            "perf/memory_gib": self._memory_gib,
            "perf/busy_cores": self._cores.busy() if self._cores else float("nan"),
            "perf/samples_per_insert": self._samples_per_insert,
        }
        values |= {f"perf/restarts/{kind}": float(count) for kind, count in self._restarts.items()}
        return values | {f"perf/actor/{name}": share for name, share in self.actor_shares().items()}

    def actor_shares(self) -> dict[str, float]:
        """Average over the actors the shares of their time: environment, policy, sending, waiting."""
        shares = [stats.shares() for stats in self._actors.values()]
        return (
            {name: float(np.mean([share[name] for share in shares])) for name in shares[0]} if shares else {}
        )

    def pace(self) -> str:
        """Say who set the pace, in words."""
        shares = self.actor_shares()
        if self._plan.config.serial:
            work_s = sum(stats.environment_s + stats.policy_s for stats in self._actors.values())
            share = min(1.0, work_s / max(self._recorder.seconds_of_this_start, 1e-9))
            return f"environments and their policy took {share:.0%} of the time, updates and evaluations the rest"
        waits = self._learner_waits[1:] or self._learner_waits  # the first report holds the warm-up
        if not shares or not waits:
            return "too short to say who set the pace"
        return pace_words(shares["waiting"], float(np.nanmean(waits)))

    @property
    def _tasks_with_data(self) -> int:
        return replay_metrics.tasks_with_data(list(self._shards.values()))

    @property
    def _samples_per_insert(self) -> float:
        return self._plan.replay.measured_samples_per_insert(self.env_steps, self.learner_steps)

    def _look_for_checkpoint(self) -> None:
        newest = checkpoint_paths(self._recorder.run.path)[-1:]
        if newest and (self._checkpoint is None or self._checkpoint[0] != newest[0]):
            self._checkpoint = newest[0], time.monotonic()

    def _progress(self) -> Progress:
        shards, plan, pace = list(self._shards.values()), self._plan, self._pace
        success, returns = replay_metrics.success_by_task(shards), replay_metrics.return_by_task(shards)
        columns = zip(
            plan.suite.task_names, success.tolist(), returns.tolist(), self._quota.tolist(), strict=True
        )
        return Progress(
            phase="training" if self.learner_steps else "warming up",
            env_steps=self.env_steps,
            total_steps=plan.total_steps,
            learner_steps=self.learner_steps,
            total_updates=plan.total_updates,
            env_steps_per_s=pace.env_steps_per_s,
            updates_per_s=pace.updates_per_s,
            seconds_left=pace.seconds_left,
            actors_alive=self.actors_alive,
            num_actors=plan.num_actors,
            actor_wait=self.actor_shares().get("waiting", float("nan")),
            learner_wait=self._learner_waits[-1] if self._learner_waits else float("nan"),
            samples_per_insert=self._samples_per_insert,
            planned_samples_per_insert=plan.replay.samples_per_insert,
            policy_lag=replay_metrics.policy_lag(shards),
            memory_gib=self._memory_gib,
            tasks=tuple(TaskProgress(*column) for column in columns),
            evaluation=self._evaluation,
            checkpoint=self._checkpoint_words(),
            warning=self._warning,
        )

    def _checkpoint_words(self) -> str | None:
        if self._checkpoint is None:
            return None
        path, seen_at = self._checkpoint
        return f"checkpoint {path.name}, {duration_words(time.monotonic() - seen_at)} ago"
