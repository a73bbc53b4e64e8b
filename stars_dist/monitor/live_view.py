"""The live view: how a run stands on one screen of a terminal, redrawn in place."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Iterator

from rich.console import Console as RichConsole
from rich.text import Text

from stars_dist.monitor.pace import NO_WAIT
from stars_dist.monitor.progress import Progress, TaskProgress, fitting

WORST_TASKS = 5
LEAST_ROWS = 4  # of the view, whatever the terminal's height
WIDEST = 110  # columns; a longer line is harder to read
SOLVED_SUCCESS, BEGUN_SUCCESS = 0.8, 0.05
LABEL_WIDTH = 10
_EIGHTHS = " ▏▎▍▌▋▊▉"


def live_view(progress: Progress, elapsed: str, columns: int, rows: int) -> str:
    """Draw the view as lines for a terminal of that size, which is never filled: its last column and row stay free."""
    width = max(20, min(columns - 1, WIDEST))
    lines = list(_lines(progress, elapsed, width))[: max(LEAST_ROWS, rows - 2)]
    console = RichConsole(file=io.StringIO(), width=width, force_terminal=True, color_system="standard")
    with console.capture() as capture:
        for line in lines:
            console.print(line, no_wrap=True, crop=True, overflow="crop", highlight=False)
    return capture.get().rstrip("\n")


def bar(share: float, width: int) -> str:
    """Draw a share from 0 to 1 as a bar of so many characters, to an eighth of one."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    whole, rest = divmod(eighths, 8)
    return ("█" * whole + (_EIGHTHS[rest] if rest else "")).ljust(width)


def _lines(progress: Progress, elapsed: str, width: int) -> Iterator[Text]:
    """Yield the lines, those that are worth most first: a low terminal shows the first ones."""
    yield _headline(progress, elapsed, width)
    yield _achievement(progress, width)
    yield _row("speed", _speed(progress), width)
    yield _row("pace", _pace(progress), width, _pace_style(progress))
    if progress.warning:
        shortened = textwrap.shorten(progress.warning, width - LABEL_WIDTH, placeholder=" ...")
        yield _row("warning", [shortened], width, "yellow")
    worst = progress.worst(WORST_TASKS)
    if worst:
        yield from _tasks(progress, worst, width)
    yield _row("actors", _actors(progress), width, "red" * (progress.actors_alive < progress.num_actors))
    if progress.checkpoint:
        yield _row("saved", [progress.checkpoint], width)


def _headline(progress: Progress, elapsed: str, width: int) -> Text:
    words = fitting(
        [f"{progress.phase} {progress.share:4.0%}", progress.time_left or "", elapsed], width - 12
    )
    bar_width = max(8, width - len(words) - 2)
    return (
        Text()
        .append(f"{words}  ", style="bold")
        .append(bar(progress.share, bar_width), style="cyan on bright_black")
    )


def _achievement(progress: Progress, width: int) -> Text:
    parts = [progress.achievement + " in rollouts" * bool(progress.tasks and progress.has_success)]
    if progress.evaluation:
        parts.append(progress.evaluation)
    return _row("result", parts, width, "bold")


def _speed(progress: Progress) -> list[str]:
    updates = (
        f"{progress.updates_per_s:.1f} updates/s ({progress.learner_steps:,} of {progress.total_updates:,})"
    )
    steps = f"{progress.env_steps_per_s:,.0f} steps/s ({progress.env_steps:,} of {progress.total_steps:,})"
    return [updates, steps] if progress.learner_steps else [steps]


def _pace(progress: Progress) -> list[str]:
    parts = []
    if not math.isnan(progress.actor_wait) and not math.isnan(progress.learner_wait):
        parts.append(f"actors wait {progress.actor_wait:.0%}, the learner {progress.learner_wait:.0%}")
    if not math.isnan(progress.samples_per_insert):
        parts.append(
            f"{progress.samples_per_insert:.1f} of {progress.planned_samples_per_insert:g} samples per insert"
        )
    return parts or ["not known yet"]


def _pace_style(progress: Progress) -> str:
    """Choose a colour where the learner waits: a device that idles."""
    return "yellow" if progress.learner_wait > 3 * NO_WAIT else ""


def _actors(progress: Progress) -> list[str]:
    mean, largest = progress.policy_lag
    lag = f"policy lag {mean:.0f} updates, at most {largest:.0f}"
    memory = [] if math.isnan(progress.memory_gib) else [f"{progress.memory_gib:.1f} GiB in all"]
    return [f"{progress.actors_alive} of {progress.num_actors} alive", lag, *memory]


def _row(label: str, parts: list[str], width: int, style: str = "") -> Text:
    return _label(label).append(fitting(parts, width - LABEL_WIDTH, " · "), style=style)


def _label(label: str) -> Text:
    return Text().append(label.ljust(LABEL_WIDTH), style="dim")


def _tasks(progress: Progress, tasks: list[TaskProgress], width: int) -> Iterator[Text]:
    name_width = min(max(len(task.name) for task in tasks), max(8, width - LABEL_WIDTH - 22))
    bar_width = max(0, min(30, width - LABEL_WIDTH - name_width - 20))
    for index, task in enumerate(tasks):
        label = "" if index else f"worst {len(tasks)}" if len(tasks) < len(progress.tasks) else "tasks"
        line = _label(label).append(f"{task.name[:name_width]:{name_width}} ")
        quota = "" if math.isnan(task.quota) else f"{task.quota:5.0f} rows"
        yield _append_value(line, progress, task, bar_width).append(quota, style="dim")


def _append_value(line: Text, progress: Progress, task: TaskProgress, bar_width: int) -> Text:
    if math.isnan(task.mean_return):
        return line.append("no episode has ended yet ".ljust(bar_width + 6), style="dim")
    if math.isnan(task.success):
        return line.append(f"return {task.mean_return:9.1f} ".ljust(bar_width + 6))
    style = "green" if task.success >= SOLVED_SUCCESS else "yellow" if task.success > BEGUN_SUCCESS else "red"
    line.append(bar(task.success, bar_width), style=f"{style} on bright_black")
    return line.append(f" {task.success:4.2f} ")
