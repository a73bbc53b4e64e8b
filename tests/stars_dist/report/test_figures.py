"""The pictures of a report: what is drawn of few and of many runs, and that names fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from stars_dist.monitor.metrics import read_metrics
from stars_dist.report.comparison import Comparison, compare
from stars_dist.report.curves import interval
from stars_dist.report.figures import FIGURES, drawn
from stars_dist.report.finished_run import STEPS, TIME, Curve, read_finished_run
from stars_dist.report.methods import group_by_method
from stars_dist.report.statistics import mean

MEAN = "eval/mean_success"


def curves_figure(comparison: Comparison) -> Figure:
    return drawn(FIGURES[0], comparison)


def test_a_legend_of_long_names_stays_within_the_picture(runs: list[Path]) -> None:
    run = read_finished_run(runs[0])
    names = [f"stars {'long ' * length}{i}" for length in (30, 50) for i in range(3)]
    figure = curves_figure(compare({name: [run] for name in names}))
    figure.draw_without_rendering()
    (legend,) = figure.legends
    box, whole = legend.get_window_extent(), figure.bbox
    assert whole.x0 <= box.x0 and box.x1 <= whole.x1 and whole.y0 <= box.y0


def test_titles_of_heat_maps_stand_beside_each_other(runs: list[Path]) -> None:
    run = read_finished_run(runs[0])
    names = [f"mtmhsac+laptop network.match_parameters={i}" for i in range(3)]
    (heat_maps,) = (figure for figure in FIGURES if figure.name == "tasks")
    figure = drawn(heat_maps, compare({name: [run] for name in names}))
    figure.draw_without_rendering()
    boxes = [axes.title.get_window_extent() for axes in figure.axes[:3]]
    assert boxes[0].x1 < boxes[1].x0 and boxes[1].x1 < boxes[2].x0


def test_the_picture_draws_every_seed_over_faint_rollouts_and_an_interval_only_of_several_seeds(
    runs: list[Path],
) -> None:
    comparison = compare(group_by_method([read_finished_run(path) for path in runs]))
    axes = curves_figure(comparison).axes[0]
    faint = [line for line in axes.lines if line.get_alpha() == 0.3]
    dotted = [line for line in axes.lines if line.get_marker() == "o"]
    assert len(faint) == len(dotted) == 3
    evaluated = [line[MEAN] for line in read_metrics(runs[0] / "metrics.jsonl") if MEAN in line]
    np.testing.assert_allclose(np.asarray(dotted[0].get_ydata()), evaluated)
    assert len(evaluated) > 1
    assert len(axes.collections) == 1, "one band, of the method with two seeds"


def test_of_many_runs_only_the_means_are_drawn_and_no_two_methods_look_alike(runs: list[Path]) -> None:
    seeds = [read_finished_run(path) for path in runs[:2]]
    comparison = compare({f"method {i}": seeds for i in range(9)})
    for figure in (curves_figure(comparison), drawn(FIGURES[-1], comparison)):
        lines = figure.axes[0].lines
        assert [line.get_label() for line in lines] == [method.label for method in comparison.methods]
        assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 9
        assert all(line.get_marker() == "." for line in lines), "one evaluation is seen too"


def test_by_time_all_but_the_first_panel_are_against_minutes(runs: list[Path]) -> None:
    methods = group_by_method([read_finished_run(path) for path in runs])
    for clock, others in ((STEPS, STEPS), (TIME, TIME)):
        comparison = compare(methods, clock)
        panels = curves_figure(comparison).axes
        assert [axes.get_xlabel() for axes in panels] == [STEPS.label, TIME.label, others.label]
        last = max(run.evaluations.minutes[-1] for run in comparison.runs)
        heat, tasks = (figure for figure in FIGURES if figure.name in ("tasks", "task-curves"))
        assert drawn(heat, comparison).axes[0].get_xlabel() == clock.label
        assert (drawn(tasks, comparison).axes[0].get_xlim()[1] < 2 * last) == (clock is TIME)


def test_the_interval_holds_the_mean_and_spans_what_all_seeds_cover() -> None:
    zero, half = np.zeros((2, 2)), np.full((3, 2), 0.5)
    first = Curve(np.array([100, 300]), np.array([1.0, 3.0]), zero)
    second = Curve(np.array([200, 300, 400]), np.array([2.0, 3.0, 4.0]), half)
    moments, estimate = interval([first, second], STEPS, mean)
    np.testing.assert_array_equal(moments, [200, 300])
    np.testing.assert_allclose(estimate.value, 0.25)
    assert (
        (estimate.low <= 0.25).all()
        and (estimate.high >= 0.25).all()
        and (estimate.low < estimate.high).all()
    )
    alone = interval([first], STEPS, mean)[1]
    np.testing.assert_array_equal(alone.value, [0.0, 0.0])
    assert np.isnan(alone.low).all()
    assert not len(interval([first._replace(scores=zero[:0])], STEPS, mean)[0])
