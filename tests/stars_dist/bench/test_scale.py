"""The model of scale: costs found again from made-up runs, what they predict, and what saturates first."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from stars_dist.bench.scale import (
    PARTS,
    Cluster,
    PartModel,
    RunCosts,
    fit,
    limits,
    predicted_on_one_machine,
    report,
    summary,
)
from stars_dist.bench.scale_run import measure

TRUE = {
    part: PartModel(1e-4 * (index + 1), 0.0 if part == "learner" else 1e-3 * index)
    for index, part in enumerate(PARTS)
}
MT50 = Cluster(
    actors=50,
    shards=5,
    actor_step_s=5e-4,
    shard_step_s=5e-5,
    update_s=2e-3,
    steps_per_update=50,
    coordinator_call_s=2e-4,
    weights_poll_s=1.0,
)


def made_up(actors: int, env_steps: int, seconds: float = 60.0) -> RunCosts:
    spent = {part: model.cpu_s(env_steps, actors * seconds) for part, model in TRUE.items()}
    return RunCosts(actors, seconds, env_steps, env_steps // 10, spent)


def test_the_costs_that_made_two_runs_are_found_again_and_predict_a_third() -> None:
    parts = fit(made_up(10, 50_000), made_up(100, 30_000))
    for part, model in TRUE.items():
        assert parts[part] == pytest.approx(model, rel=1e-6, abs=1e-12)
    third = made_up(500, 20_000)
    cores = sum(third.cpu_s.values()) / third.seconds
    assert predicted_on_one_machine(parts, 500, cores) == pytest.approx(20_000 / 60, rel=1e-6)


def test_a_cost_is_never_negative() -> None:
    few, many = made_up(10, 50_000), made_up(100, 50_000)
    noisy = many._replace(cpu_s=many.cpu_s | {"shard": few.cpu_s["shard"] / 2, "ray": few.cpu_s["ray"] * 99})
    assert all(min(model) >= 0 for model in fit(few, noisy).values())
    assert predicted_on_one_machine(fit(few, noisy), 10**6, cores=2) == 0


@pytest.mark.parametrize(
    ("change", "first"),
    [
        ({}, "learner"),
        ({"update_s": 1e-4, "shard_step_s": 1e-4}, "shards"),
        ({"update_s": 1e-4, "shard_step_s": 1e-6}, "actors"),
        ({"actors": 6000}, "coordinator"),
    ],
)
def test_what_saturates_first_is_named(change: dict[str, float], first: str) -> None:
    found = limits(MT50._replace(**change))
    assert found[0].part == first
    assert [limit.env_steps_per_s for limit in found] == sorted(limit.env_steps_per_s for limit in found)


def test_the_limit_of_the_learner_is_its_updates_times_the_steps_that_each_stands_for() -> None:
    assert limits(MT50)[0].env_steps_per_s == 50 / 2e-3


def test_figures_are_plain_data_and_a_table() -> None:
    runs = [made_up(10, 50_000), made_up(100, 30_000), made_up(500, 20_000)]
    figures = json.loads(json.dumps(summary(runs)))
    assert figures["runs"][2]["predicted_env_steps_per_s"] == pytest.approx(20_000 / 60)
    assert "500 actors: 333 steps/s" in report(runs)


@pytest.mark.parametrize("sizes", ["10", "10,10", "0,10", "10,many"])
def test_sizes_that_fit_nothing_are_refused(sizes: str) -> None:
    command = [sys.executable, "-m", "stars_dist", "bench", "scale", "--actors", sizes]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and "--actors must be two sizes or more" in done.stderr


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_real_run_is_counted_by_part() -> None:
    arguments = ["--suite", "toy:2", "--preset", "small", "--device", "cpu", "--address", "local"]
    counted = measure([*arguments, "--steps", "1000000"], actors=2, seconds=5)
    assert counted.env_steps > 0 and counted.updates > 0 and counted.seconds >= 5
    assert all(counted.cpu_s[part] > 0 for part in ("actor", "shard", "learner"))
