"""An evaluation as metrics, and as a table for a person."""

from __future__ import annotations

from actors.evaluation_result import EvaluationResult


def evaluation_metrics(result: EvaluationResult) -> dict[str, float]:
    """Compute the values of an evaluation by their metric names."""
    values = {
        "eval/mean_success": result.mean_success,
        "eval/std_across_tasks": result.std_across_tasks,
        "eval/worst_5_mean": result.worst_5_mean,
        "eval/failed_episodes": float(result.failed_episodes),
        "eval/tasks_at_zero": float(sum(task.success_rate == 0 for task in result.tasks)),
    }
    for task in result.tasks:
        values[f"eval/success/{task.name}"] = task.success_rate
        values[f"eval/return/{task.name}"] = task.mean_return
    return values


def evaluation_table(result: EvaluationResult) -> str:
    """Format an evaluation, worst task first, with the episodes and the 95 % interval of each success rate."""
    width = max(len(task.name) for task in result.tasks)
    lines = [f"{'task':{width}}  success    n   95 % interval   mean return"]
    for task in sorted(result.tasks, key=lambda task: (task.success_rate, task.mean_return)):
        low, high = task.ci95
        lines.append(
            f"{task.name:{width}}  {task.success_rate:7.2f}  {task.n:3d}   {low:.2f} to {high:.2f}"
            f"   {task.mean_return:11.1f}{f'   {task.failed} failed' if task.failed else ''}"
        )
    lines.append(
        f"{'all tasks':{width}}  {result.mean_success:7.2f}  std across tasks {result.std_across_tasks:.2f}, "
        f"worst 5 {result.worst_5_mean:.2f}, at {result.env_steps:,} environment steps"
    )
    return "\n".join(lines)
