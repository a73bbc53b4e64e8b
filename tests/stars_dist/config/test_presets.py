"""Every preset differs from STARS in exactly its part, and its networks and quotas show it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from learner.networks import actor_network, critic_network
from learner.parameter_count import count_parameters
from replay_service.types import TransitionSpec
from stars_dist.bench.stored_batches import stored_batches
from stars_dist.config.merge import flag_layer, resolve, set_layer
from stars_dist.config.preset_files import preset_layer, preset_names
from stars_dist.config.run_config import RunConfig
from stars_dist.config.run_plan import RunPlan

UNIFORM = {"sampling.priority_exponent": 0.0, "sampling.task_priority.enabled": False}
PLAIN_SAC = UNIFORM | {  # rainx0r/mtrl
    "network.shared.kind": "plain",
    "network.shared.task_input": "one_hot",
    "network.unique.enabled": False,
    "sac.temperature_learning_rate": 3e-4,
    "sac.adam_epsilon": 1e-5,
    "sac.log_alpha_min": None,
    "sac.log_alpha_max": None,
    "sac.log_std_min": -20.0,
    "sac.extreme_loss.enabled": False,
}
DIFFERS: dict[str, dict[str, Any]] = {
    "stars": {},
    "stars-large": {"network.critic_hidden": None, "network.critic_layer_norm": True},
    "shared-only": {"network.unique.enabled": False},
    "unique-only": {"network.shared.enabled": False, "network.head": "shared"},
    "no-triplet": {"network.unique.triplet_weight": 0.0},
    "uniform-sampling": UNIFORM,
    "transition-priority-only": {"sampling.task_priority.enabled": False},
    "task-priority-only": {"sampling.priority_exponent": 0.0},
    "mtsac": PLAIN_SAC | {"network.head": "shared"},
    "mtmhsac": PLAIN_SAC | {"network.head": "per_task"},
    "paco": UNIFORM  # TToTMooN/paco-mtrl
    | {
        "network.unique.enabled": False,
        "network.shared.slice_init": "equal",
        "network.shared.mix_init": "normal",
        "network.shared.mix_norm": "none",
        "sac.mix_learning_rate": 3e-4,
        "sac.adam_epsilon": 1e-7,
        "sac.gradient_clip_norm": None,
        "sac.extreme_loss.scale": "none",
        "replay.warmup_steps_per_task": 1500,
    },
}
METHODS, MIXINS = preset_names("methods"), ("laptop", "small")
SMALL_CRITICS = {"stars-large": ("network.critic_hidden=[64, 64]",)}  # the large ones need not be built


def plan_of(*presets: str, suite: str = "toy:4", sets: tuple[str, ...] = ()) -> RunPlan:
    layers = [flag_layer("--suite", "suite", suite), *map(preset_layer, presets), *map(set_layer, sets)]
    return resolve(layers).plan


def config_of(*presets: str, suite: str = "toy:4", sets: tuple[str, ...] = ()) -> RunConfig:
    return plan_of(*presets, suite=suite, sets=sets).config


def leaves(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


def difference(config: RunConfig, reference: RunConfig) -> dict[str, Any]:
    before, after = leaves(reference.model_dump()), leaves(config.model_dump())
    return {key: value for key, value in after.items() if value != before[key]}


def test_every_preset_is_a_method_an_ablation_or_a_mixin() -> None:
    assert METHODS == ["mtmhsac", "mtsac", "paco", "stars", "stars-large"]
    assert tuple(preset_names("mixins")) == MIXINS
    assert set(preset_names()) == {*DIFFERS, *MIXINS}


@pytest.mark.parametrize("name", DIFFERS)
def test_exactly_the_intended_part_differs(name: str) -> None:
    assert difference(config_of(name), config_of("stars")) == DIFFERS[name]
    assert config_of("stars") == config_of()  # the defaults are the method


@pytest.mark.parametrize("mixin", MIXINS)
def test_mixins_change_sizes_and_leave_the_method(mixin: str) -> None:
    for name in sorted({*METHODS} - {"stars-large"}):  # it refuses them, below
        changed = difference(config_of(name, mixin), config_of(name))
        unique = ("enabled", "objective", "triplet", "temperature", "within", "task_init", "normalize")
        method = ("network.shared", "network.head", *(f"network.unique.{field}" for field in unique))
        sampling = ("sampling.priority", "sampling.task_priority", "sac.extreme_loss")
        assert not [key for key in changed if key.startswith((*method, *sampling))]


@pytest.mark.parametrize(
    ("name", "absent"),
    [
        ("shared-only", {"task_vector", "unique"}),
        ("unique-only", {"mix", "shared"}),
        ("mtsac", {"mix", "task_vector", "unique"}),
        ("mtmhsac", {"mix", "task_vector", "unique"}),
        ("paco", {"task_vector", "unique"}),
    ],
)
def test_parts_left_out_have_no_parameters(name: str, absent: set[str]) -> None:
    spec = TransitionSpec(4, 6, 2)
    network = config_of(name, "small").network
    names = {n.split(".")[0] for n, _ in actor_network(network, spec, torch.Generator()).named_parameters()}
    assert {"mix", "task_vector", "unique", "shared", "head"} - names == absent


@pytest.mark.parametrize(
    ("name", "quota", "is_uniform_within"),
    [
        ("stars", [48, 48, 16, 16], False),
        ("uniform-sampling", [32] * 4, True),
        ("mtmhsac", [32] * 4, True),
        ("transition-priority-only", [32] * 4, False),
        ("task-priority-only", [48, 48, 16, 16], True),
    ],
)
def test_quotas_and_priorities(name: str, quota: list[int], is_uniform_within: bool) -> None:
    """Two of four tasks are solved; one transition of each task has had a great priority."""
    with stored_batches(plan_of(name, "small"), 0.5) as sampler:
        (first,) = sampler.sample(1, 0, 0.4, timeout_s=10.0)
        sampler.update_priorities([first], [np.linspace(1.0, 90.0, len(first.is_weight))])
        (batch,) = sampler.sample(1, 0, 0.4, timeout_s=10.0)
    assert batch.group_sizes.tolist() == quota
    assert np.allclose(batch.info.probability, batch.info.probability[0]) == is_uniform_within


@pytest.mark.parametrize("suite", ["toy:4", "mt10", "mt50"])
@pytest.mark.parametrize("name", DIFFERS)
def test_parameter_count_is_that_of_the_networks(name: str, suite: str) -> None:
    mixins = ["small"] if suite == "mt50" else []
    plan = plan_of(name, *mixins, suite=suite, sets=SMALL_CRITICS.get(name, ()))
    config, spec = plan.config, plan.replay.spec
    count = count_parameters(config.network, spec)
    actor, critic = (
        sum(p.numel() for p in build(config.network, spec, torch.Generator()).parameters())
        for build in (actor_network, critic_network)
    )
    assert (count.actor, count.critics) == (actor, critic)


@pytest.mark.parametrize("mixins", [(), ("laptop",), ("small",)], ids=lambda m: "+".join(m) or "full")
@pytest.mark.parametrize("name", ["mtsac", "mtmhsac", "paco", "shared-only", "unique-only"])
def test_match_parameters_comes_within_one_percent(name: str, mixins: tuple[str, ...]) -> None:
    plan = plan_of(name, *mixins, suite="toy:10", sets=("network.match_parameters=stars",))
    reference, own = config_of("stars", *mixins, suite="toy:10"), config_of(name, *mixins, suite="toy:10")
    config, spec = plan.config, plan.replay.spec
    wanted, got = count_parameters(reference.network, spec), count_parameters(config.network, spec)
    assert abs(got.total - wanted.total) <= 0.01 * wanted.total
    if name != "unique-only":
        assert abs(got.actor - wanted.actor) <= 0.01 * wanted.actor
    allowed = {
        "network.match_parameters",
        "network.actor_hidden",
        "network.critic_hidden",
        "network.unique.hidden",
    }
    assert set(difference(config, own)) <= allowed


def test_match_follows_the_other_settings_of_the_run() -> None:
    """The reference is STARS under this run's own --set, not the preset as it stands."""
    sets = ("network.match_parameters=stars", "network.shared.num_slices=3")
    plan = plan_of("paco", sets=sets)
    reference = config_of("stars", sets=sets[1:])
    config, spec = plan.config, plan.replay.spec
    wanted = count_parameters(reference.network, spec).total
    assert abs(count_parameters(config.network, spec).total - wanted) <= 0.01 * wanted


def test_plan_names_the_parameter_count() -> None:
    plan = plan_of("stars", suite="toy:10")
    count = count_parameters(plan.config.network, plan.replay.spec)
    assert f"{count.total:,} parameters" in plan.lines()[-1]


@pytest.mark.parametrize("mixin", MIXINS)
def test_large_critics_stay_large_beside_a_mixin(mixin: str) -> None:
    """A mixin over stars-large is refused; under it, its critics stay as they are."""
    layered = config_of(mixin, "stars-large")
    assert layered.network.critic_layers(4) == (1024,) * 3
    assert layered.network.actor_hidden == config_of(mixin).network.actor_hidden
    sets = ("network.critic_hidden=[512, 512]",)
    assert config_of("stars-large", mixin, sets=sets).network.critic_hidden == (512, 512)


BAD = {
    "large critics under a mixin": (
        ("stars-large", "laptop"),
        (),
        "preset stars-large must keep its wide critics, got preset laptop over it with network.critic_hidden "
        "[256, 256]; give stars-large after it",
    ),
    "two methods": (("mtsac", "paco"), (), "one method, got presets mtsac and paco"),
    "no branch left": (("shared-only", "unique-only"), (), "(set by preset shared-only, preset unique-only)"),
    "no slices": ((), ("network.shared.num_slices=0",), "num_slices must be at least 1, got 0"),
    "unknown reference": ((), ("network.match_parameters=starz",), "did you mean 'stars'?"),
    "equal slices, one each": (
        (),
        ("network.shared.slice_init=equal", "network.shared.mix_init=one_hot"),
        "needs slices that differ, got slice_init equal",
    ),
    "w of equal slices": (("paco",), ("network.shared.mix_init=uniform",), "needs slices that differ"),
    "floor above the batch": ((), ("sampling.batch_size_per_task=1",), "lower the floor or raise the batch"),
    "empty batch": ((), ("sampling.batch_size_per_task=0",), "greater than or equal to 1"),
    "no widths fit": (
        ("mtmhsac",),
        ("network.match_parameters=unique-only", "network.unique.hidden=[1]", "network.unique.dim=1"),
        "network.match_parameters needs hidden layers",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_contradictions_are_one_clear_line(case: str) -> None:
    presets, sets, message = BAD[case]
    with pytest.raises(ValueError) as error:
        config_of(*presets, sets=sets)
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("objective", ["triplet", "hard_triplet", "supcon", "infonce"])
def test_contrast_needs_two_tasks_and_two_rows_of_each(objective: str) -> None:
    chosen = f"network.unique.objective={objective}"
    one_row = ("sampling.batch_size_per_task=1", "sampling.task_priority.quota_floor=1")
    with pytest.raises(
        ValueError, match=r"two rows per task in a batch, got .*batch_size_per_task 1; raise it"
    ):
        plan_of(sets=(chosen, *one_row))
    with pytest.raises(ValueError, match=r"needs at least two tasks, got 1; use --set network\.unique"):
        plan_of(suite="toy:1", sets=(chosen,))
    unasked = plan_of("stars", suite="toy:1").config.network  # by the preset alone
    assert not unasked.unique.is_contrastive
    for preset in ("no-triplet", "shared-only"):  # without a contrast neither is needed
        assert plan_of(preset, suite="toy:1", sets=(chosen, *one_row)).replay.batch_size == 1


def test_a_hinge_without_a_contrastive_loss_is_harmless() -> None:
    assert not config_of(
        "no-triplet", sets=("network.unique.within_variance=0.5",)
    ).network.unique.is_contrastive


def test_plain_trunks_have_no_use_for_the_settings_of_w() -> None:
    sets = (
        "network.shared.slice_init=equal",
        "network.shared.mix_init=one_hot",
        "network.shared.mix_norm=unit",
    )
    plan = plan_of("mtmhsac", "small", sets=sets)
    assert count_parameters(plan.config.network, plan.replay.spec) == count_parameters(
        config_of("mtmhsac", "small").network, plan.replay.spec
    )
