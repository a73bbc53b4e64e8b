"""The status of one run as text for a person: progress, who waits for whom, the worst tasks, what to type next."""

from __future__ import annotations

from collections.abc import Iterator

from stars_dist.monitor.terminal import folded
from stars_dist.status.run_status import RunStatus, State, TaskStatus
from stars_dist.status.words import bar, duration, percent, rate

WORST = 5
_SILENT_S = 120.0  # after which a live run that records nothing is worth a word


def status_page(status: RunStatus, all_tasks: bool = False, columns: int | None = None) -> str:
    """Format a status for a terminal of so many columns; the worst five tasks, or all of them."""
    lines = [folded(line, columns, indent=4) for line in _lines(status, all_tasks)]
    if status.resume_command is not None:  # whole, so that it can be copied
        lines.append(f"  go on with: {status.resume_command}")
    return "\n".join(lines)


def _lines(status: RunStatus, all_tasks: bool) -> Iterator[str]:
    yield f"{status.state.value}  {status.run}"
    if status.state is State.UNREADABLE:
        yield f"  {status.problem}"
        return
    yield f"  suite {status.suite}, {status.presets}, seed {status.seed}"
    yield (
        f"  {bar(_share(status))} {percent(status.env_steps, status.total_steps)}  "
        f"{status.env_steps:,} of {status.total_steps:,} steps, "
        f"update {status.learner_steps:,} of {status.total_updates:,}"
    )
    yield from _pace(status)
    yield from _success(status, all_tasks)
    yield from _files(status)


def _share(status: RunStatus) -> float:
    return status.env_steps / (status.total_steps or 1)


def _pace(status: RunStatus) -> Iterator[str]:
    if status.state not in (State.STARTING, State.TRAINING):
        yield f"  trained for {duration(status.wall_time_s)}, recorded last {duration(status.age_s)} ago"
        return
    if status.state is State.STARTING:
        yield f"  nothing recorded yet, {duration(status.age_s)} after its directory was made"
        return
    speeds = [
        f"{value:.{digits}f} {unit}"
        for value, digits, unit in (
            (status.env_steps_per_s, 0, "steps/s"),
            (status.updates_per_s, 1, "updates/s"),
        )
        if value is not None
    ]
    left = f"about {duration(status.eta_s)} left" if status.eta_s is not None else "time left not known yet"
    yield f"  {', '.join([*speeds, left])}, running for {duration(status.wall_time_s)}"
    yield f"  {', '.join(_processes(status))}"
    if status.age_s > _SILENT_S:
        yield f"  silent for {duration(status.age_s)}: its process lives and records nothing; look at its output"


def _processes(status: RunStatus) -> Iterator[str]:
    if status.actors_alive is not None:
        yield f"actors {status.actors_alive}/{status.num_actors}"
    for side, share in status.waiting.items():
        yield f"{side} wait{'s' if side == 'learner' else ''} {100 * share:.0f} % of the time"
    if status.samples_per_insert is not None:
        yield f"samples per insert {status.samples_per_insert:.1f}"
    if status.policy_lag_mean is not None:
        yield f"policy lag {status.policy_lag_mean:.0f} updates"


def _success(status: RunStatus, all_tasks: bool) -> Iterator[str]:
    evaluated, rolled_out, what = status.eval_success, status.rollout_success, "success"
    if not status.has_success_flag:
        evaluated, rolled_out, what = status.eval_return, status.rollout_return, "return"
    if evaluated is not None:
        yield f"  evaluation at {status.evaluated_at:,} steps: mean {what} {evaluated:.2f}"
    if rolled_out is not None:
        yield f"  rollouts, newest episodes: mean {what} {rolled_out:.2f}"
    known = [task for task in status.tasks if (task.success, task.mean_return) != (None, None)]
    worst = sorted(known, key=lambda task: (task.success or 0.0, task.mean_return or 0.0))
    shown = worst if all_tasks else worst[:WORST]
    if shown:
        width = max(len(task.name) for task in shown)
        yield f"  {'worst tasks' if len(shown) < len(status.tasks) else 'tasks':{width}}   evaluation  rollouts"
        words = _task if status.has_success_flag else _task_without_flag
        yield from (words(task, width) for task in shown)


def _task(task: TaskStatus, width: int) -> str:
    return (
        f"  {task.name:{width}}   {bar(task.success)} {rate(task.eval_success):>5} "
        f"{rate(task.rollout_success):>5}{_quota(task)}"
    )


def _task_without_flag(task: TaskStatus, width: int) -> str:
    returns = (_short(value) for value in (task.eval_return, task.rollout_return))
    return f"  {task.name:{width}}   return {'  '.join(f'{words:>9}' for words in returns)}{_quota(task)}"


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _quota(task: TaskStatus) -> str:
    return "" if task.quota is None else f"  {task.quota} rows per batch"


def _files(status: RunStatus) -> Iterator[str]:
    if status.last_checkpoint is not None:
        yield f"  last checkpoint {status.last_checkpoint}, {duration(status.checkpoint_age_s)} ago"
    if status.last_failure is not None:
        yield f"  last failure: {status.last_failure}"
