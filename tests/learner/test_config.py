"""Contradictions in the learner's configuration are refused with rule, value and remedy."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from learner.config import CheckpointConfig, LearnerConfig, SacConfig
from learner.network_config import NetworkConfig, SharedConfig, UniqueConfig

BAD = {
    "no slices": (SharedConfig, {"num_slices": 0}, "at least 1, got 0"),
    "slices of a plain trunk": (SharedConfig, {"kind": "plain", "num_slices": 4}, "kind plain"),
    "equal slices, equal w": (
        SharedConfig,
        {"slice_init": "equal", "mix_init": "uniform"},
        "mix_init uniform needs slices that differ",
    ),
    "equal slices, one each": (
        SharedConfig,
        {"slice_init": "equal", "mix_init": "one_hot"},
        "mix_init one_hot needs slices that differ",
    ),
    "no such objective": (UniqueConfig, {"objective": "simclr"}, "'triplet', 'hard_triplet', 'supcon' or"),
    "no start of z": (UniqueConfig, {"task_init_std": 0.0}, "greater than 0"),
    "more variance than there is": (UniqueConfig, {"within_variance": 1.0}, "less than 1"),
    "temperature": (UniqueConfig, {"temperature": 0.0}, "greater than 0"),
    "no branch": (
        NetworkConfig,
        {"shared": {"enabled": False}, "unique": {"enabled": False}, "head": "shared"},
        "needs a branch",
    ),
    "composed head, plain trunk": (NetworkConfig, {"shared": {"kind": "plain"}}, "head shared or per_task"),
    "composed head, no trunk": (NetworkConfig, {"shared": {"enabled": False}}, "head shared or per_task"),
    "trunk without layers": (NetworkConfig, {"actor_hidden": []}, "needs a layer"),
    "unknown key": (NetworkConfig, {"width": 400}, "Extra inputs"),
    "margin": (UniqueConfig, {"triplet_margin": 0.0}, "greater than 0"),
    "alpha bounds": (SacConfig, {"log_alpha_init": 1.0}, "log_alpha_init must lie"),
    "alpha bound below": (SacConfig, {"log_alpha_init": -20.0, "log_alpha_max": None}, r"\[-10.0, None\]"),
    "std bounds": (SacConfig, {"log_std_min": 3.0}, "log_std_min must be below"),
    "gamma": (SacConfig, {"gamma": 1.0}, "less than 1"),
    "clip norm": (SacConfig, {"gradient_clip_norm": 0.0}, "greater than 0"),
    "nan": (SacConfig, {"learning_rate": float("nan")}, "finite"),
    "batches": (LearnerConfig, {"batches_per_call": 0}, "greater than 0"),
    "keep none": (CheckpointConfig, {"keep_last": 0}, "greater than 0"),
}


@pytest.mark.parametrize(("model", "values", "message"), BAD.values(), ids=BAD.keys())
def test_contradiction_is_refused(model: type[BaseModel], values: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        model.model_validate(values)


@pytest.mark.parametrize(("tasks", "slices"), [(1, 5), (10, 5), (11, 20), (50, 20)])
def test_slices_follow_the_paper(tasks: int, slices: int) -> None:
    assert NetworkConfig().num_slices(tasks) == slices
    assert NetworkConfig(shared=SharedConfig(num_slices=7)).num_slices(tasks) == 7


@pytest.mark.parametrize("objective", ["triplet", "hard_triplet", "supcon", "infonce"])
def test_contrast_of_one_task_is_refused_with_the_remedy(objective: str) -> None:
    unique = UniqueConfig.model_validate({"objective": objective})
    with pytest.raises(ValueError, match=r"two tasks, got 1; use --set network.unique.triplet_weight=0"):
        NetworkConfig(unique=unique).check_tasks(1)
    NetworkConfig(unique=unique.model_copy(update={"triplet_weight": 0.0})).check_tasks(1)


def test_network_must_see_the_task() -> None:
    blind = {"shared": {"kind": "plain"}, "unique": {"enabled": False}, "head": "shared"}
    NetworkConfig.model_validate(blind).check_tasks(1)
    with pytest.raises(ValueError, match="told the task"):
        NetworkConfig.model_validate(blind).check_tasks(2)


def test_a_unique_branch_without_z_does_not_tell_the_task() -> None:
    stateless = {"unique": {"task_dim": 0}}
    NetworkConfig.model_validate(stateless).check_tasks(2)  # w does
    for blind in (
        {"shared": {"enabled": False}, "head": "shared"},
        {"shared": {"kind": "plain"}, "head": "shared"},
    ):
        NetworkConfig.model_validate(blind).check_tasks(2)
        with pytest.raises(ValueError, match="told the task, got 2 tasks without w, z, "):
            NetworkConfig.model_validate(blind | stateless).check_tasks(2)


def test_every_field_is_described() -> None:
    for model in (NetworkConfig, SharedConfig, UniqueConfig, SacConfig, LearnerConfig, CheckpointConfig):
        assert all(field.description for field in model.model_fields.values())


@pytest.mark.parametrize(("given", "meant"), [(True, "on"), (False, "off"), ("auto", "auto")])
def test_switches_take_what_yaml_makes_of_on_and_off(given: object, meant: str) -> None:
    assert LearnerConfig.model_validate({"static_shapes": given}).static_shapes == meant
