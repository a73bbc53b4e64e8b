"""An evaluation as metrics, and as a table for a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from actors.evaluation_result import EvaluationResult, TaskEvaluation

History = Mapping[str, Sequence[float]]
"""What each task achieved in all evaluations of a run so far: success rates, or returns where there is no success."""

MOST_ROWS, WORST_ROWS, BEST_ROWS = 60, 40, 10  # of a table at the end of a run

_EIGHTHS = "▁▂▃▄▅▆▇█"


def evaluation_metrics(result: EvaluationResult) -> dict[str, float]:
    """Compute the values of an evaluation by their metric names; those of success only where tasks have a flag."""
    values = {"eval/failed_episodes": float(result.failed_episodes), "eval/mean_return": result.mean_return}
    if result.has_success_flag:
        flagged = [task.success_rate for task in result.tasks if task.has_success_flag]
        values |= {
            "eval/mean_success": result.mean_success,
            "eval/std_across_tasks": result.std_across_tasks,
            "eval/worst_5_mean": result.worst_5_mean,
            "eval/tasks_at_zero": float(sum(rate == 0 for rate in flagged)),
        }
    for task in result.tasks:
        if task.has_success_flag:
            values[f"eval/success/{task.name}"] = task.success_rate
        values[f"eval/return/{task.name}"] = task.mean_return
    return values


def evaluation_words(result: EvaluationResult) -> str:
    """Say what an evaluation found, in one line."""
    if not result.has_success_flag:
        return f"mean return {result.mean_return:.1f} (no task has a success flag)"
    return (
        f"mean success {result.mean_success:.2f}, worst 5 {result.worst_5_mean:.2f}, "
        f"std across tasks {result.std_across_tasks:.2f}"
    )


def evaluation_table(result: EvaluationResult, history: History | None = None) -> str:
    """Format an evaluation, worst task first, with the episodes and the 95 % interval of each success rate.

    With the history of the run, each task has its change since the first evaluation and a line of its course, and of
    more than MOST_ROWS tasks only the worst and the best are shown: the run's evaluation.json has all.
    """
    width = max(len(task.name) for task in result.tasks)
    changes = " since first  course" if history else ""
    if result.has_success_flag:
        title = f"{'task':{width}}  success    n   95 % interval   mean return{changes}"
    else:
        title = f"{'task':{width}}  mean return    n{changes}"
    rows = []
    for task in sorted(result.tasks, key=lambda task: (task.success_rate, task.mean_return)):
        row = _success_row(task) if result.has_success_flag else f"{task.mean_return:11.1f}  {task.n:3d}"
        failed = f"   {task.failed} failed" if task.failed else ""
        course = _course(history.get(task.name, ()), result.has_success_flag) if history else ""
        rows.append(f"{task.name:{width}}  {row}{course}{failed}")
    if history and len(rows) > MOST_ROWS:
        between = len(rows) - WORST_ROWS - BEST_ROWS
        rows[WORST_ROWS:-BEST_ROWS] = [f"... {between:,} tasks between these: evaluation.json has them ..."]
    last = f"{'all tasks':{width}}  {_last_row(result)}, at {result.env_steps:,} environment steps"
    return "\n".join([title, *rows, last])


def _success_row(task: TaskEvaluation) -> str:
    low, high = task.ci95
    return f"{task.success_rate:7.2f}  {task.n:3d}   {low:.2f} to {high:.2f}   {task.mean_return:11.1f}"


def _last_row(result: EvaluationResult) -> str:
    if not result.has_success_flag:
        return f"{result.mean_return:11.1f}  no task has a success flag"
    return (
        f"{result.mean_success:7.2f}  std across tasks {result.std_across_tasks:.2f}, "
        f"worst 5 {result.worst_5_mean:.2f}"
    )


def _course(values: Sequence[float], is_success: bool) -> str:
    if len(values) < 2:
        return f"  {'':10}  {sparkline(values, 0.0, 1.0) if is_success else ''}"
    low, high = (0.0, 1.0) if is_success else (min(values), max(values))
    change = f"{values[-1] - values[0]:+.2f}" if is_success else f"{values[-1] - values[0]:+.1f}"
    return f"  {change:>10}  {sparkline(values, low, high)}"


def sparkline(values: Sequence[float], low: float, high: float) -> str:
    """Draw values as a line of small bars, from the lowest at `low` to the full at `high`."""
    span = max(high - low, 1e-12)
    return "".join(_EIGHTHS[round(7 * min(1.0, max(0.0, (value - low) / span)))] for value in values)
