"""The plan of a run: what a configuration leaves open is chosen, and planning again changes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from replay_service.types import TransitionSpec
from stars_dist.config.merge import resolve, set_layer
from stars_dist.config.preset_files import preset_layer
from stars_dist.config.run_config import RunConfig
from stars_dist.config.run_plan import RunPlan, plan_resumed, plan_run


def config_of(**values: Any) -> RunConfig:
    return RunConfig.model_validate(values)


def plan_of(*sets: str, presets: tuple[str, ...] = (), suite: str = "toy:4") -> RunPlan:
    return resolve([*map(preset_layer, presets), *map(set_layer, (f"suite={suite}", *sets))]).plan


def test_what_depends_on_the_suite_is_filled_in() -> None:
    plan = plan_run(config_of(suite="mt10"))
    config = plan.config
    assert (plan.num_tasks, plan.num_actors, plan.total_steps) == (10, 10, 20_000_000)
    assert (config.actors.num_actors, config.steps, config.replay.num_shards) == (10, 20_000_000, 1)
    assert plan.replay.spec == TransitionSpec(10, 39, 4, plan.suite.action_dims)
    assert plan.replay.seed == config.seed


@pytest.mark.parametrize(
    ("steps", "warmup"),
    [(80_000, 4000), (16_004, 4000), (16_000, 1000), (4000, 250), (8, 1)],
    ids=["long", "just longer than it", "equal", "shorter than it", "a step"],
)
def test_warmup_fits_the_budget(steps: int, warmup: int) -> None:
    """The configured 4000 steps per task, or a quarter of a budget that is no longer than they are."""
    assert plan_of(f"steps={steps}").config.replay.warmup_steps_per_task == warmup


@pytest.mark.parametrize(
    ("steps", "sets", "updates"),
    [
        (80_000, (), (80_000 - 4 * 4000) // 4),
        (80_003, (), (80_003 - 4 * 4000) // 4),  # one update is due with every fourth step
        (80_000, ("replay.samples_per_insert=32",), (80_000 - 4 * 4000) * 32 // (4 * 128)),
        (80_000, ("replay.capacity_per_task=1000",), (80_000 - 4 * 1000) // 4),  # a full table is warm
    ],
    ids=["standard", "a rest", "four times fewer", "small table"],
)
def test_updates_are_those_due_at_the_end(steps: int, sets: tuple[str, ...], updates: int) -> None:
    plan = plan_of(f"steps={steps}", *sets)
    assert plan.total_updates == updates
    assert plan.updates_due(plan.total_steps) == plan.updates_due(2 * plan.total_steps) == updates
    assert 0 == plan.updates_due(0) < plan.updates_due(3 * plan.total_steps // 4) < updates


@pytest.mark.parametrize(
    ("steps", "evaluation"),
    [(80_000, 16_000), (2001, 401)],
    ids=["a fifth", "rounded up"],
)
def test_evaluations_are_a_fifth_of_the_run_apart_and_checkpoints_five_minutes(
    steps: int, evaluation: int
) -> None:
    plan = plan_of(f"steps={steps}")
    assert plan.evaluation_every_steps == evaluation
    assert plan.config.checkpoint.every_env_steps is None
    assert plan.config.checkpoint.every_s == 300.0


def test_given_periods_and_actors_stay() -> None:
    sets = ("evaluation.every_env_steps=7", "checkpoint.every_env_steps=9", "actors.num_actors=3")
    plan = plan_of(*sets)
    assert (plan.evaluation_every_steps, plan.config.checkpoint.every_env_steps, plan.num_actors) == (7, 9, 3)


def test_a_serial_run_has_one_actor() -> None:
    assert plan_of("serial=true", "actors.num_actors=3").num_actors == 1


@pytest.mark.parametrize(
    ("presets", "suite", "sets"),
    [
        (("stars",), "mt10", ()),
        (("stars", "laptop"), "toy:4", ("steps=4000", "serial=true")),
        (("mtsac", "small"), "toy:3", ("network.match_parameters=stars", "steps=2000")),
        (("stars",), "toy:4", ("steps=16000",)),
        (("stars",), " reach-v3, push-v3", ("steps=9001", "environment.horizon=90")),
    ],
    ids=["mt10", "shorter than its warm-up", "matched", "as long as its warm-up", "named tasks"],
)
def test_a_resolved_configuration_gives_the_same_plan_again(
    presets: tuple[str, ...], suite: str, sets: tuple[str, ...]
) -> None:
    """A run's processes and its resumes plan from `config.yaml`, which holds the resolved configuration."""
    plan = plan_of(*sets, presets=presets, suite=suite)
    assert plan_run(plan.config) == plan
    read_again = RunConfig.model_validate(plan.config.model_dump(mode="json"))
    assert plan_run(read_again) == plan


def test_override_replaces_sections_and_keeps_suite_and_replay() -> None:
    plan = plan_of()
    learner = plan.config.learner.model_copy(update={"torch_threads": 3})
    other = plan.override(learner=learner, device="cpu")
    assert (other.config.learner.torch_threads, other.config.device) == (3, "cpu")
    assert other.config.sac == plan.config.sac
    assert (other.suite, other.replay) == (plan.suite, plan.replay)
    assert plan.config.device == "auto"


@pytest.mark.parametrize(
    ("changes", "changed"),
    [
        ((None, None, None), {}),
        ((90_000, None, None), {"steps": 90_000}),
        ((None, 3, None), {"num_shards": 3}),
        ((None, None, "local"), {"address": "local"}),
    ],
    ids=["as before", "more steps", "more shards", "another cluster"],
)
def test_a_resumed_run_keeps_what_is_not_given(changes: Any, changed: dict[str, Any]) -> None:
    before = plan_of("steps=80000", "seed=5")
    config = plan_resumed(before, *changes).config
    num_shards = config.replay.num_shards
    values = {"steps": config.steps, "num_shards": num_shards, "address": config.address, "seed": config.seed}
    assert values == {"steps": 80_000, "num_shards": 1, "address": "auto", "seed": 5} | changed
    assert (
        config.evaluation == before.config.evaluation
    )  # the period of the launch, not a fifth of more steps


def test_the_replay_discounts_as_the_learner_does() -> None:
    assert plan_of("sac.gamma=0.9").replay.gamma == 0.9


def test_lines_describe_the_run() -> None:
    first, second, third = plan_of("steps=80000", presets=("small",)).lines()
    assert first == "suite toy:4: 4 tasks, 80,000 environment steps, 19,500 updates of 128 transitions"
    assert second.startswith("4 actors, 1 replay shard (mapped), 500 warm-up steps per task, device auto")
    assert "parameters: actor " in third


def test_rows_that_cannot_be_as_long_as_configured_are_told() -> None:
    """Four environments share a chunk of 16 steps, or two where an actor has two tasks."""
    sets = ("actors.chunk_steps=16", "sampling.n_step=5")
    told = "rows sum up 4 of sampling.n_step 5 steps at most, what one environment puts into a chunk; raise "
    assert plan_of(*sets).lines()[-1] == f"{told}actors.chunk_steps or lower actors.envs_per_actor"
    for enough in (
        "actors.num_actors=2",
        "actors.chunk_steps=17",
        "actors.envs_per_actor=3",
        "sampling.n_step=4",
    ):
        assert len(plan_of(*sets, enough).lines()) == 3


BAD = {
    "more shards than tasks": (
        config_of(suite="toy:4", replay={"num_shards": 9}),
        "9 shards for 4 tasks",
    ),
    "no longer than its warm-up": (config_of(suite="toy:4", steps=4), "must be longer than its warm-up"),
    "a row longer than an episode": (
        config_of(suite="toy:4", sampling={"n_step": 21}, environment={"horizon": 20}),
        "sampling.n_step=21 for training episodes of 20 steps; lower sampling.n_step",
    ),
    "a row longer than a training episode": (
        config_of(suite="toy:4", sampling={"n_step": 8}, actors={"training_horizon": 7}),
        "sampling.n_step=8 for training episodes of 7 steps",
    ),
    "unknown suite": (config_of(suite="mt12"), "got 'mt12'"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_configuration_that_contradicts_itself_is_refused(case: str) -> None:
    config, message = BAD[case]
    with pytest.raises(ValueError) as error:
        plan_run(config)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_task_on_its_own_has_no_contrastive_loss_and_the_plan_says_so() -> None:
    alone, two = plan_run(config_of(suite="toy:1")), plan_run(config_of(suite="toy:2"))
    assert not alone.config.network.unique.is_contrastive and two.config.network.unique.is_contrastive
    assert any("no contrastive loss" in line for line in alone.lines())
    assert not any("no contrastive loss" in line for line in two.lines())
