"""When the policy is evaluated during a distributed run, and the evaluation at its end."""

from __future__ import annotations

import threading

from actors.evaluation_result import EvaluationResult
from actors.policy import PolicyWeights, policy_file, read_policy
from stars_dist.config import RunConfig
from stars_dist.evaluation_job import EvaluationJob
from stars_dist.launch import Cluster
from stars_dist.monitor.console import Console
from stars_dist.monitor.run_monitor import RunMonitor
from stars_dist.rollout_parts import GOALS_FILE
from stars_dist.run_directory import RunDirectory


class EvaluationClock:
    """Says when an evaluation is due: at every multiple of the period but for the last steps, which the end covers."""

    def __init__(self, config: RunConfig, env_steps: int) -> None:
        assert config.evaluation.every_env_steps is not None, "the configuration is resolved"
        self._period, self._total = config.evaluation.every_env_steps, config.total_steps
        self._due_at = self._after(env_steps)

    def is_due(self, env_steps: int) -> bool:
        """Whether a multiple of the period was passed since the last time that this was true."""
        if env_steps < self._due_at or env_steps + self._period / 2 > self._total:
            return False
        self._due_at = self._after(env_steps)
        return True

    def _after(self, env_steps: int) -> int:
        return (env_steps // self._period + 1) * self._period


class EvaluationSchedule:
    """Evaluates the newest published weights every so many environment steps, beside the training.

    One evaluation at a time: a period that passes while one is under way is left out.
    """

    def __init__(
        self, config: RunConfig, run: RunDirectory, cluster: Cluster, monitor: RunMonitor, env_steps: int
    ) -> None:
        self._config, self._run, self._cluster, self._monitor = config, run, cluster, monitor
        self._clock = EvaluationClock(config, env_steps)
        self._job: EvaluationJob | None = None

    def advance(self) -> None:
        """Starts an evaluation that is due and takes the results of one under way."""
        if self._job is None:
            self._start_if_due()
        else:
            self._job.advance()
            if self._job.is_done:
                self._monitor.hear_evaluation(self._job.result(str(self._run.path)))
                self._job = None

    def cancel(self) -> None:
        if self._job is not None:
            self._job.cancel()
            self._job = None

    def evaluate_now(
        self, console: Console, interrupted: threading.Event, num_processes: int
    ) -> EvaluationResult | None:
        """The evaluation at the end of the run; None if interrupted."""
        # Not those that it published: they may have gone with its process, which ends when it has finished.
        weights, _ = read_policy(policy_file(self._run.path))
        episodes = self._config.evaluation.final_episodes_per_task
        job = self._job_of(weights, episodes, num_processes)
        console.phase(
            f"evaluating: {episodes} episodes for each of {self._config.replay_plan().num_tasks} tasks"
        )
        while not job.is_done:
            if interrupted.is_set():
                job.cancel()
                return None
            job.advance(timeout_s=0.5)
            console.progress(f"evaluating: {job.progress} done, {episodes} episodes each")
        checkpoint = self._run.checkpoints / f"step-{weights.version}"
        return job.result(str(checkpoint))

    def _start_if_due(self) -> None:
        if self._monitor.learner_steps == 0 or not self._clock.is_due(self._monitor.env_steps):
            return
        weights = self._cluster.newest_weights()
        if weights is not None:
            evaluation = self._config.evaluation
            self._job = self._job_of(weights, evaluation.episodes_per_task, evaluation.num_processes)

    def _job_of(self, weights: PolicyWeights, episodes: int, num_processes: int) -> EvaluationJob:
        goals = (self._run.path / GOALS_FILE).resolve()
        return EvaluationJob(self._config, weights, self._monitor.env_steps, episodes, num_processes, goals)
