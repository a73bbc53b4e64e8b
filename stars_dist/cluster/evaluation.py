"""Evaluations on a Ray cluster: beside the training at every period, and at the end of a run."""

from __future__ import annotations

from collections.abc import Callable

from actors.evaluation_result import EvaluationResult
from actors.policy_weights import PolicyWeights, find_policy_file, read_policy
from stars_dist.cluster.deadlines import running_clock
from stars_dist.cluster.evaluator_pool import EvaluatorPool
from stars_dist.cluster.newest_weights import NewestWeights
from stars_dist.cluster.ray_processes import check_ray
from stars_dist.config.run_plan import RunPlan
from stars_dist.interruption import Interruption
from stars_dist.monitor.console import Console
from stars_dist.monitor.run_monitor import RunMonitor
from stars_dist.run_files.directory import RunDirectory
from stars_dist.schedule import evaluation_period

EVALUATION_S = 7200.0  # after which an evaluation ends with what it has

Log = Callable[[str], None]


class Evaluation:
    """All tasks with one version of the weights; it ends whatever its environments do."""

    def __init__(
        self,
        run: RunDirectory,
        plan: RunPlan,
        weights: PolicyWeights,
        env_steps: int,
        episodes: int,
        num_processes: int,
        log: Log,
    ) -> None:
        self._plan, self._version, self._episodes, self._log = plan, weights.version, episodes, log
        self.env_steps = env_steps
        self._clock = running_clock(plan.config)
        self._pool = EvaluatorPool(run, plan, weights, episodes, num_processes, self._clock, log)

    @property
    def is_done(self) -> bool:
        """Whether every task has its result."""
        return self._pool.is_done

    @property
    def progress(self) -> str:
        """How many tasks have their result, for a person."""
        return f"{self._pool.num_done}/{self._plan.num_tasks} tasks"

    def advance(self, timeout_s: float = 0.0) -> None:
        """Start what there is room for and take what is done; wait up to `timeout_s` for the next result."""
        self._clock.tick()
        if self._clock.now > EVALUATION_S and not self.is_done:
            self._log(
                f"evaluation ended after {EVALUATION_S:.0f} s with {self.progress}; the rest counts as failed"
            )
            self._pool.give_up(f"not run within {EVALUATION_S:.0f} s")
        self._pool.advance(timeout_s)

    def cancel(self) -> None:
        """End the processes."""
        self._pool.close()

    def result(self, checkpoint: str) -> EvaluationResult:
        """Sum up the tasks' episodes."""
        assert self.is_done
        tasks, suite = self._pool.tasks(), self._plan.suite.name
        result = EvaluationResult(suite, checkpoint, self.env_steps, self._version, self._episodes, tasks)
        if result.failed_episodes:
            of_tasks = ", ".join(f"{task.name} {task.failed} of {task.n}" for task in tasks if task.failed)
            self._log(
                f"evaluation: {result.failed_episodes} episodes failed and count as no success: {of_tasks}"
            )
        return result


class PeriodicEvaluation:
    """Evaluates the newest published weights every so many environment steps, beside the training.

    One evaluation at a time: a period that passes while one is in progress is left out.
    """

    def __init__(self, run: RunDirectory, plan: RunPlan, weights: NewestWeights, monitor: RunMonitor) -> None:
        self._run, self._plan, self._weights, self._monitor = run, plan, weights, monitor
        self._period = evaluation_period(plan, monitor.evaluated_at)
        self._is_due = False
        self._evaluation: Evaluation | None = None

    def advance(self) -> None:
        """Start an evaluation that is due and take the results of one in progress; never waits."""
        if self._evaluation is None:
            self._start_if_due()
            return
        self._evaluation.advance()
        if self._evaluation.is_done:
            self._monitor.record_evaluation(self._evaluation.result(str(self._run.path)))
            self._evaluation = None

    def cancel(self) -> None:
        """Give up an evaluation in progress."""
        if self._evaluation is not None:
            self._evaluation.cancel()
            self._evaluation = None

    def _start_if_due(self) -> None:
        env_steps = self._monitor.env_steps
        if self._monitor.learner_steps > 0 and self._period.is_due(env_steps):
            self._is_due = True
        weights = self._weights.advance() if self._is_due else None
        if weights is None:
            return
        self._is_due, config = False, self._plan.config.evaluation
        episodes, num_processes = config.episodes_per_task, config.num_processes
        self._evaluation = Evaluation(
            self._run, self._plan, weights, env_steps, episodes, num_processes, self._monitor.log
        )


def evaluate_at_end(
    run: RunDirectory,
    plan: RunPlan,
    env_steps: int,
    num_processes: int,
    console: Console,
    interrupted: Interruption,
) -> EvaluationResult | None:
    """Evaluate the newest checkpoint; return None if interrupted."""
    # Not the weights that the learner published: they may have gone with its process, which ends when it has finished.
    weights, _ = read_policy(find_policy_file(run.path))
    episodes = plan.config.evaluation.final_episodes_per_task
    evaluation = Evaluation(run, plan, weights, env_steps, episodes, num_processes, console.line)
    console.phase(f"evaluating: {episodes} episodes for each of {plan.num_tasks} tasks")
    while not evaluation.is_done:
        if interrupted.is_set():
            evaluation.cancel()
            return None
        check_ray()
        evaluation.advance(timeout_s=0.5)
        console.progress(f"evaluating: {evaluation.progress} done, {episodes} episodes each")
    return evaluation.result(str(run.checkpoint(weights.version)))
