"""The health of a run: the known failures of the method as metrics, and as warnings once they last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stars_dist.config.run_plan import RunPlan

PATIENCE_SHARE = 0.1  # of the run's steps, for which a failure must last before it is warned of
NEAR_ZERO_SUCCESS = 0.05
SOLVED_SUCCESS = 0.8
SPREAD_STD = 0.35  # of success rates; 0.5 is half of the tasks at one and half at zero
LEAST_TASK_VARIANCE = 0.02  # of unit vectors that do not separate tasks; orthogonal tasks have 1 - 1 / T
LEAST_WITHIN_SHARE = 0.05  # of the features' variance, within tasks; a mere code of the task has none
LEAST_EFFECTIVE_RANK = 1.2  # of features on one line
LEAST_GRADIENT_SHARE = 1e-3  # of the actor's gradient norm


_STATE = ("training", "evaluation", "quota", "unique", "extreme_updates", "is_extreme", "since")


class Sign(NamedTuple):
    """A failure that is there at this moment."""

    key: str
    text: str


class Limit(NamedTuple):
    """The least value of a metric of the unique features; below it they are collapsed."""

    metric: str  # after train/unique_
    least: float
    meaning: str
    remedy: str  # the field of network.unique to raise


class Health:
    """Records what the tasks achieve and what the learner reports; warns of what has gone wrong for long.

    A warning is given once, and again only when its failure has gone away and come back. Arrays are f64[T],
    with nan where nothing is known yet.
    """

    def __init__(self, task_names: Sequence[str], floor_rows: int | None, patience_steps: int) -> None:
        """`floor_rows`: the least rows of a task per batch; None: every task has the same."""
        self._task_names, self._floor_rows, self._patience_steps = task_names, floor_rows, patience_steps
        unknown = np.full(len(task_names), np.nan)
        self._training, self._evaluation, self._quota = unknown, unknown.copy(), unknown.copy()
        self._unique: dict[str, float] = {}
        self._extreme_updates, self._is_extreme = unknown.copy(), np.zeros(len(task_names), np.bool_)
        self._since: dict[str, int] = {}  # environment steps at which each failure was first seen
        self._warned: set[str] = set()

    @classmethod
    def of(cls, plan: RunPlan) -> Health:
        """Build the health of a run from its plan."""
        sampling = plan.config.sampling
        rows, priority = sampling.batch_size_per_task, sampling.task_priority
        floor = max(priority.quota_floor, round(priority.clip_low * rows))
        floor_rows = floor if priority.enabled and floor < rows else None
        patience = round(PATIENCE_SHARE * plan.total_steps)
        return cls(plan.suite.task_names, floor_rows, patience)

    def record_training(self, success: NDArray[np.float64]) -> None:
        """Record the success over the newest training episodes of each task."""
        self._training = success

    def record_evaluation(self, success: NDArray[np.float64]) -> None:
        """Record the success of each task in the newest evaluation."""
        self._evaluation = success

    def record_learner(self, values: Mapping[str, float]) -> None:
        """Record a report of the learner, by the names of its metrics."""
        self._unique = {name: v for name, v in values.items() if name.startswith("train/unique_")}
        quota = [values.get(f"sampling/quota/{name}", np.nan) for name in self._task_names]
        self._quota = np.array(quota, dtype=np.float64)
        count = [values.get(f"train/extreme_updates/{name}", np.nan) for name in self._task_names]
        before, self._extreme_updates = self._extreme_updates, np.array(count, dtype=np.float64)
        self._is_extreme = self._extreme_updates > before  # since the report before

    def state_dict(self) -> dict[str, Any]:
        """Return what is recorded, and of what was warned."""
        return {name: getattr(self, f"_{name}") for name in _STATE} | {"warned": sorted(self._warned)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        for name in _STATE:
            setattr(self, f"_{name}", state[name])
        self._warned = set(state["warned"])

    def metrics(self) -> dict[str, float]:
        """Compute the spread between tasks in training, and how many tasks are starved."""
        known = self._training[np.isfinite(self._training)]
        if not known.size:
            return {}
        return {
            "health/success_std": float(known.std()),
            "health/success_worst_5": float(np.sort(known)[:5].mean()),
            "health/tasks_at_zero": float((known == 0).sum()),
            "health/starved_tasks": float(len(self._starved())),
        }

    def warnings(self, env_steps: int) -> list[str]:
        """Return new warnings, of what has lasted for the patience; call it after every record."""
        signs = {sign.key: sign.text for sign in self._signs()}
        self._since = {key: self._since.get(key, env_steps) for key in signs}
        self._warned &= signs.keys()
        due = [
            key
            for key, since in self._since.items()
            if env_steps - since >= self._patience_steps and key not in self._warned
        ]
        self._warned.update(due)
        return [signs[key] for key in due]

    def _signs(self) -> Iterator[Sign]:
        yield from self._spread()
        for task in self._starved():
            name = self._task_names[task]
            yield Sign(
                f"starved/{name}",
                f"{name} is starved: {self._quota[task]:.0f} rows of a batch, the floor, at success "
                f"{self._success[task]:.2f}; raise sampling.task_priority.clip_low",
            )
        yield from self._extreme_losses()
        yield from self._collapse()

    def _spread(self) -> Iterator[Sign]:
        values, known = self.metrics(), self._training[np.isfinite(self._training)]
        if not values or values["health/success_std"] < SPREAD_STD:
            return
        if known.max() >= SOLVED_SUCCESS and known.min() <= NEAR_ZERO_SUCCESS:
            worst = self._task_names[int(np.nanargmin(self._training))]
            yield Sign(
                "spread",
                f"tasks drift apart: std of success {values['health/success_std']:.2f}, worst 5 "
                f"{values['health/success_worst_5']:.2f}, {values['health/tasks_at_zero']:.0f} at zero, the "
                f"worst {worst}; raise sampling.task_priority.clip_high or network.shared.num_slices",
            )

    @property
    def _success(self) -> NDArray[np.float64]:
        """The worse of training and evaluation: what a task shows in its noisy episodes may hide a failing mode."""
        return np.fmin(self._training, self._evaluation)

    def _starved(self) -> list[int]:
        if self._floor_rows is None:
            return []
        return np.flatnonzero(
            (self._quota <= self._floor_rows) & (self._success <= NEAR_ZERO_SUCCESS)
        ).tolist()

    def _extreme_losses(self) -> Iterator[Sign]:
        for task in np.flatnonzero(self._is_extreme).tolist():
            name = self._task_names[task]
            yield Sign(
                f"extreme/{name}",
                f"{name} has an extreme critic loss, in {self._extreme_updates[task]:.0f} updates so far, and was "
                "left out of some; look at its rewards, lower sac.learning_rate or raise the threshold in "
                "sac.extreme_loss",
            )

    def _collapse(self) -> Iterator[Sign]:
        for limit in self._limits():
            value = self._unique_metric(limit.metric)
            if value < limit.least:
                yield Sign(
                    f"collapse/{limit.metric}",
                    f"unique features collapse: {limit.meaning} {value:.2g}, below {limit.least:g}; raise "
                    f"network.unique.{limit.remedy}",
                )

    def _limits(self) -> Iterator[Limit]:
        told_apart = self._unique_metric("task_variance") >= LEAST_TASK_VARIANCE
        yield Limit(
            "task_variance",
            LEAST_TASK_VARIANCE,
            "tasks are not told apart, variance between tasks",
            "triplet_weight",
        )
        if told_apart:  # one point for all rows is no code of the task
            yield Limit(
                "within_share",
                LEAST_WITHIN_SHARE,
                "a mere code of the task, share of the variance within tasks",
                "within_variance, with triplet_weight above 0",
            )
        if len(self._task_names) > 2:
            yield Limit("effective_rank", LEAST_EFFECTIVE_RANK, "effective rank", "triplet_weight")
        share = "share of the actor's gradient"
        yield Limit("gradient_share", LEAST_GRADIENT_SHARE, share, "triplet_weight")

    def _unique_metric(self, name: str) -> float:
        """Return the newest value, infinite where there is no unique branch, or no report yet."""
        return self._unique.get(f"train/unique_{name}", np.inf)
