"""Layers of configuration: who wins, what each value's origin is, and how bad input is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from stars_dist.config.merge import ResolvedRun, command_layers, flag_layer, resolve, set_layer
from stars_dist.config.preset_files import preset_layer, preset_names


def resolved(*layers) -> ResolvedRun:
    return resolve([flag_layer("--suite", "suite", "toy:4"), *layers])


def test_later_layer_wins_and_names_its_origin() -> None:
    result = resolved(preset_layer("laptop"), set_layer("sac.gamma=0.9"), set_layer("sac.gamma=0.95"))
    assert result.plan.config.sac.gamma == 0.95
    assert result.origins["sac.gamma"] == "--set sac.gamma"
    assert result.origins["sampling.batch_size_per_task"] == "preset laptop"


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_resolves_alone_and_with_laptop(name: str) -> None:
    layers = [preset_layer(name), preset_layer("laptop")]
    if name == "stars-large":
        layers.reverse()  # over it, laptop is refused
    config = resolved(*layers).plan.config
    assert config.sampling.batch_size_per_task == 64
    assert resolved(preset_layer(name)).plan.total_updates > 0


def test_mtsac_is_plain_uniform_sac() -> None:
    config = resolved(preset_layer("mtsac")).plan.config
    assert config.network.shared.kind == "plain"
    assert config.network.shared.task_input == "one_hot"
    assert not config.network.unique.enabled
    assert config.sampling.priority_exponent == 0
    assert not config.sampling.task_priority.enabled


def test_layers_of_a_command_are_presets_then_sets_then_flags_that_were_given(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("sac: {gamma: 0.97, tau: 0.5}\n")
    flags = {
        ("--steps", "steps"): "900",
        ("--actors", "actors.num_actors"): None,
        ("--serial", "serial"): False,
    }
    layers = command_layers(["small", str(file)], ["sac.gamma=0.9", "steps=7"], flags)
    origins = ["preset small", f"preset {file}", "--set sac.gamma", "--set steps", "--steps", "--serial"]
    assert [layer.origin for layer in layers] == origins
    result = resolved(*layers)
    assert (result.plan.config.sac.gamma, result.plan.config.sac.tau) == (0.9, 0.5)
    assert (result.plan.total_steps, result.origins["steps"]) == (900, "--steps")


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
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_clear_line(case: str) -> None:
    layer, message = BAD[case]
    with pytest.raises(ValueError) as error:
        resolved(layer())
    assert message in str(error.value)
    assert "\n" not in str(error.value)
