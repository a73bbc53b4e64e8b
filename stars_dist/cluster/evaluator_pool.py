"""The processes of one evaluation: each evaluates a task at a time, and one that hangs or dies is replaced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ray
import ray.exceptions

from actors.evaluation_result import EpisodeResult, TaskEvaluation
from actors.policy import NumpyPolicy
from actors.policy_weights import PolicyWeights
from stars_dist.cluster.cluster import RunningProcess, has_place, kill
from stars_dist.cluster.deadlines import Watch, deadlines
from stars_dist.cluster.failures import describe
from stars_dist.cluster.periodic_call import PeriodicCall
from stars_dist.cluster.processes import EvaluationProcess
from stars_dist.cluster.running_clock import RunningClock
from stars_dist.config.run_plan import RunPlan
from stars_dist.run_files.directory import RunDirectory

CALL_PERIOD_S = 1.0
MAX_LOST = 3  # processes for one task; then the rest of its episodes is given up


class TaskEpisodes:
    """The episodes of one task: those that have a result, and how many processes were lost over the others."""

    def __init__(self, task_id: int, episodes: int) -> None:
        self.task_id, self._episodes = task_id, episodes
        self.results: list[EpisodeResult] = []
        self._lost = 0

    @property
    def missing(self) -> range:
        """The numbers of the episodes without a result."""
        return range(len(self.results), self._episodes)

    def record_lost(self, cause: str, has_hung: bool) -> None:
        """Note that the process of the task was lost: one that hung would hang again in the same episode."""
        self._lost += 1
        if has_hung and self.missing:
            self.results.append(EpisodeResult(False, 0.0, cause))
        if self._lost >= MAX_LOST:
            self.give_up(f"given up after {self._lost} lost processes: {cause}")

    def give_up(self, cause: str) -> None:
        """Count the episodes without a result as failed."""
        self.results += [EpisodeResult(False, 0.0, cause)] * len(self.missing)


class Evaluator:
    """One process of an evaluation, with the task that it has."""

    def __init__(self, plan: RunPlan, clock: RunningClock) -> None:
        # Episodes one after another in a thread of their own: another answers how many steps they have made.
        # ray's stubs do not know concurrency_groups
        decorate: Any = ray.remote(num_cpus=0, concurrency_groups={"steps": 1})  # type: ignore[call-overload]
        self._remote: Any = decorate(EvaluationProcess)
        self._watch = Watch(deadlines(plan.config)["evaluator"], clock)
        self._handle: Any = None
        self._steps: PeriodicCall[int] = PeriodicCall(
            lambda: self._handle.steps.options(concurrency_group="steps").remote(),
            CALL_PERIOD_S,
            clock,
            self._watch,
        )
        self._episodes: list[Any] = []  # in flight
        self.task: TaskEpisodes | None = None

    @property
    def next_episode(self) -> Any:
        """The reference to the result that comes next."""
        return self._episodes[0]

    def begin(self, task: TaskEpisodes, policy: NumpyPolicy, plan: RunPlan, *rest: Any) -> None:
        """Evaluate the missing episodes of a task."""
        if self._handle is None:
            self._handle = self._remote.remote()
        self._watch.record_work()
        self.task = task
        self._handle.begin.remote(policy, plan.suite, task.task_id, *rest)
        self._episodes = [self._handle.episode.remote(number) for number in task.missing]

    def advance(self) -> str | None:
        """Take the results that have come; end a process that died or is past a deadline and return the cause."""
        assert self.task is not None
        try:
            done, self._episodes = ray.wait(self._episodes, num_returns=len(self._episodes), timeout=0)
            for episode in done:  # in their order; what a process did before it died is kept
                self.task.results.append(ray.get(episode))
            self._check_in()
        except ray.exceptions.RayTaskError as error:
            self.task.give_up(cause := describe(error))  # the environment cannot be built
            return self._lose(cause)
        except ray.exceptions.RayError as error:
            self.task.record_lost(cause := describe(error), has_hung=False)
            return self._lose(cause)
        if not self._episodes:
            self.task = None
        elif (cause := self._watch.overdue()) is not None:
            self.task.record_lost(cause, has_hung=True)
            return self._lose(cause)
        return None

    def end(self) -> None:
        """Kill the process; the next task gets a new one."""
        if self._handle is not None:
            kill(RunningProcess(self._handle, None))
        self._handle = self.task = None
        self._episodes = []
        self._steps.forget()
        self._watch.restart()

    def _check_in(self) -> None:
        if not self._watch.is_placed and has_place(RunningProcess(self._handle, None)):
            self._watch.record_placed()
        self._steps.advance(lambda steps: steps)

    def _lose(self, cause: str) -> str:
        self.end()
        return cause


class EvaluatorPool:
    """Evaluates all tasks of a suite, at most `num_processes` at a time."""

    def __init__(
        self,
        run: RunDirectory,
        plan: RunPlan,
        weights: PolicyWeights,
        episodes: int,
        num_processes: int,
        clock: RunningClock,
        log: Callable[[str], None],
    ) -> None:
        config = plan.config
        self._plan, self._weights, self._log = plan, weights, log
        self._rest = (config.seed, config.environment, run.goals_file.resolve())
        self._tasks = [TaskEpisodes(task.id, episodes) for task in plan.suite.tasks]
        self._waiting = list(reversed(self._tasks))
        self._evaluators = [Evaluator(plan, clock) for _ in range(min(num_processes, plan.num_tasks))]

    @property
    def is_done(self) -> bool:
        """Whether every episode has a result."""
        return self.num_done == len(self._tasks)

    @property
    def num_done(self) -> int:
        """Tasks whose episodes all have a result."""
        return sum(not task.missing for task in self._tasks)

    def advance(self, timeout_s: float) -> None:
        """Give tasks to free processes and take what is done; wait up to `timeout_s` for the next episode."""
        for evaluator in self._evaluators:
            if evaluator.task is None and self._waiting:
                task = self._waiting.pop()
                policy = NumpyPolicy(self._weights, [task.task_id], self._plan.suite.obs_dim)
                evaluator.begin(task, policy, self._plan, *self._rest)
        busy = [evaluator for evaluator in self._evaluators if evaluator.task is not None]
        if busy:
            ray.wait([evaluator.next_episode for evaluator in busy], timeout=timeout_s)
            for evaluator in busy:
                self._take(evaluator)
        if self.is_done:
            self.close()

    def give_up(self, cause: str) -> None:
        """End with what there is: episodes without a result count as failed."""
        self.close()
        self._waiting.clear()
        for task in self._tasks:
            task.give_up(cause)

    def close(self) -> None:
        """End the processes."""
        for evaluator in self._evaluators:
            evaluator.end()

    def tasks(self) -> tuple[TaskEvaluation, ...]:
        """Sum up the tasks in the suite's order."""
        names: Sequence[str] = self._plan.suite.task_names
        return tuple(TaskEvaluation.of(names[task.task_id], task.results) for task in self._tasks)

    def _take(self, evaluator: Evaluator) -> None:
        task = evaluator.task
        assert task is not None
        cause = evaluator.advance()
        if cause is None:
            return
        name = self._plan.suite.task_names[task.task_id]
        self._log(f"evaluation of {name}: its process was lost ({cause}); {len(task.missing)} episodes to go")
        if task.missing:
            self._waiting.append(task)
