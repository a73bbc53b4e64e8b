"""Layers of configuration: who wins, what each value's origin is, and what bad input says."""

from __future__ import annotations

from pathlib import Path

import pytest

from stars_dist.config.merge import ResolvedRun, flag_layer, resolve, set_layer
from stars_dist.config.preset_files import preset_layer, preset_names


def resolved(*layers) -> ResolvedRun:
    return resolve([flag_layer("--suite", "suite", "toy:4"), *layers])


def test_later_layer_wins_and_names_its_origin() -> None:
    result = resolved(preset_layer("laptop"), set_layer("sac.gamma=0.9"), set_layer("sac.gamma=0.95"))
    assert result.plan.config.sac.gamma == 0.95
    assert result.origins["sac.gamma"] == "--set sac.gamma"
    assert result.origins["sampling.batch_size_per_task"] == "preset laptop"


def test_preset_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("sac: {gamma: 0.97}\n")
    assert resolved(preset_layer(str(file))).plan.config.sac.gamma == 0.97


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_resolves_alone_and_with_laptop(name: str) -> None:
    config = resolved(preset_layer(name), preset_layer("laptop")).plan.config
    assert config.sampling.batch_size_per_task == 64
    assert resolved(preset_layer(name)).plan.total_updates > 0


def test_mtsac_is_plain_uniform_sac() -> None:
    config = resolved(preset_layer("mtsac")).plan.config
    assert config.network.shared.kind == "plain"
    assert config.network.shared.task_input == "one_hot"
    assert not config.network.unique.enabled
    assert config.sampling.priority_exponent == 0
    assert not config.sampling.task_priority.enabled


@pytest.mark.parametrize(
    ("steps", "warmup"),
    [(80_000, 4000), (4000, 250), (16_000, 1000)],
    ids=["long", "shorter than it", "equal"],
)
def test_warmup_fits_the_budget(steps: int, warmup: int) -> None:
    config = resolved(flag_layer("--steps", "steps", steps)).plan.config
    assert config.replay.warmup_steps_per_task == warmup


def test_updates_are_one_for_every_t_steps_after_the_warmup() -> None:
    plan = resolved(flag_layer("--steps", "steps", 80_000)).plan
    assert plan.total_updates == (80_000 - 4 * 4000) // 4


BAD = {
    "unknown key": (lambda: set_layer("sac.gama=1"), "unknown key 'sac.gama', did you mean 'gamma'?"),
    "unknown section": (lambda: set_layer("sak.gamma=1"), "unknown key 'sak', did you mean 'sac'?"),
    "wrong type": (lambda: set_layer("sac.gamma=high"), "--set sac.gamma must be a valid number, got high"),
    "value for a section": (lambda: set_layer("sac=3"), "sac must be a mapping"),
    "no value": (lambda: set_layer("sac.gamma"), "--set must read key.subkey=value"),
    "no yaml": (lambda: set_layer("sac.gamma=[1"), "must be given a YAML value"),
    "no actors": (lambda: flag_layer("--actors", "actors.num_actors", 0), "--actors must be greater than"),
    "negative steps": (lambda: flag_layer("--steps", "steps", -1), "--steps must be greater than"),
    "too many shards": (lambda: flag_layer("--shards", "replay.num_shards", 99), "use --shards 4"),
    "unknown preset": (lambda: preset_layer("laptob"), "unknown preset 'laptob', did you mean 'laptop'?"),
    "missing preset file": (lambda: preset_layer("none.yaml"), "a preset file must exist"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_clear_line(case: str) -> None:
    layer, message = BAD[case]
    with pytest.raises(ValueError) as error:
        resolved(layer())
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_preset_file_that_does_not_parse(tmp_path: Path) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text("sac: {gamma\n")
    with pytest.raises(ValueError, match="does not parse"):
        preset_layer(str(file))
