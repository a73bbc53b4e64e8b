"""What a person is shown of a run at one moment, whatever it is shown on."""

from __future__ import annotations

import math
from typing import NamedTuple

from stars_dist.monitor.pace import duration_words


class TaskProgress(NamedTuple):
    """One task; nan is what is not known yet."""

    name: str
    success: float  # over the newest training episodes; nan for ever where the task has no success flag
    mean_return: float  # over the same
    quota: float  # rows of the newest batch


class Progress(NamedTuple):
    """The newest of everything."""

    phase: str
    env_steps: int
    total_steps: int
    learner_steps: int
    total_updates: int
    env_steps_per_s: float
    updates_per_s: float
    seconds_left: float | None
    actors_alive: int
    num_actors: int
    actor_wait: float  # share of the actors' time since their start; nan before the first report
    learner_wait: float  # share of the learner's time in its newest report; nan before it
    samples_per_insert: float  # nan during the warm-up
    planned_samples_per_insert: float
    policy_lag: tuple[float, float]  # mean and maximum, in learner steps
    memory_gib: float
    tasks: tuple[TaskProgress, ...]
    evaluation: str | None = None  # the newest, in words
    checkpoint: str | None = None  # the newest, in words
    warning: str | None = None  # the newest

    @property
    def share(self) -> float:
        """How much of the updates is made, 0 to 1; during the warm-up, of the steps."""
        done, total = self.learner_steps, self.total_updates
        if not done:
            done, total = self.env_steps, self.total_steps
        return min(1.0, done / max(total, 1))

    @property
    def has_success(self) -> bool:
        """Whether any task has told of a success or of none."""
        return any(not math.isnan(task.success) for task in self.tasks)

    @property
    def time_left(self) -> str:
        """The time that is left, in words; empty where it is not known."""
        return "" if self.seconds_left is None else f"{duration_words(self.seconds_left)} left"

    @property
    def achievement(self) -> str:
        """The mean success in words, or the mean return where no task has a success flag."""
        if self.has_success:
            return f"success {_mean([task.success for task in self.tasks]):.2f}"
        mean_return = _mean([task.mean_return for task in self.tasks])
        return "no episode has ended yet" if math.isnan(mean_return) else f"return {mean_return:.1f}"

    def worst(self, count: int) -> list[TaskProgress]:
        """Choose the tasks that achieve least, the worst first; those of which nothing is known come last."""
        value = "success" if self.has_success else "mean_return"
        known = [task for task in self.tasks if not math.isnan(getattr(task, value))]
        unknown = [task for task in self.tasks if math.isnan(getattr(task, value))]
        known.sort(key=lambda task: (getattr(task, value), task.mean_return))
        return [*known, *unknown][:count]


def status_parts(progress: Progress) -> list[str]:
    """Say how a run stands in parts, the one that is worth most first."""
    warm_up = not progress.learner_steps
    parts = [f"{progress.phase} {progress.share:.0%}", progress.time_left, progress.achievement]
    if not warm_up:
        parts.append(f"update {progress.learner_steps:,}/{progress.total_updates:,}")
        parts.append(f"{progress.updates_per_s:.1f} updates/s")
    parts.append(f"{progress.env_steps:,}/{progress.total_steps:,} steps")
    parts.append(f"{progress.env_steps_per_s:.0f} steps/s")
    parts.append(f"actors {progress.actors_alive}/{progress.num_actors}")
    return [part for part in parts if part]


def fitting(parts: list[str], width: int | None, separator: str = ", ") -> str:
    """Join as many of the leading parts as fit into a width whole; at least the first, which is cut if it must be."""
    line = parts[0]
    for part in parts[1:]:
        longer = f"{line}{separator}{part}"
        if width is not None and len(longer) > width:
            break
        line = longer
    return line if width is None else line[:width]


def _mean(values: list[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan
