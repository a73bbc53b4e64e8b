"""The closing words of a run: its last evaluation beside the first one, and what that amounts to."""

from __future__ import annotations

from actors.evaluation_result import EvaluationResult
from actors.tasks import Suite
from stars_dist.monitor.evaluation_metrics import History, evaluation_table
from stars_dist.monitor.metrics import read_metrics
from stars_dist.report.run_curve import read_series
from stars_dist.run_files.directory import RunDirectory

SOLVED_SUCCESS = 0.8


def closing_words(run: RunDirectory, suite: Suite, result: EvaluationResult) -> str:
    """Format the last evaluation with the course of every task, and one sentence of judgement."""
    return f"{evaluation_table(result, history(run, result))}\n\n{judgement(result, suite)}"


def history(run: RunDirectory, result: EvaluationResult) -> History:
    """Read what each task achieved in the run's evaluations, the last one included."""
    prefix = "eval/success/" if result.has_success_flag else "eval/return/"
    series = read_series(read_metrics(run.metrics_file), prefix)
    return {task: values.tolist() for task, values in series.values.items()}


def judgement(result: EvaluationResult, suite: Suite) -> str:
    """Say in a sentence what the run has achieved, and how much of the suite's standard budget it has used."""
    share = result.env_steps / suite.standard_steps
    spent = f"{100 * share:.2g} % of" if share < 0.995 else f"{share:.3g} times"
    budget = f"this is {spent} the standard budget of {suite.standard_steps:,} environment steps"
    if not result.has_success_flag:
        return f"no task says what success is: compare returns; {budget}."
    rates = [task.success_rate for task in result.tasks]
    solved = sum(rate >= SOLVED_SUCCESS for rate in rates)
    begun = sum(rate > 0 for rate in rates)
    return f"{_tasks_words(solved, begun, len(rates))}; {budget}."


def _tasks_words(solved: int, begun: int, total: int) -> str:
    if solved == total:
        return f"all {total} tasks are solved ({SOLVED_SUCCESS:g} or more)"
    if not begun:
        return f"none of {total} tasks has begun to succeed"
    words = f"{begun} of {total} tasks {'has' if begun == 1 else 'have'} begun"
    return f"{words}, {solved or 'none'} of them {'are' if solved > 1 else 'is'} solved ({SOLVED_SUCCESS:g} or more)"
