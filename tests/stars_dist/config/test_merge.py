"""Layers of configuration: who wins, what each value's origin is, and how bad input is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from stars_dist.config.merge import ResolvedRun, command_layers, flag_layer, resolve, set_layer
from stars_dist.config.preset_files import preset_layer, preset_names
from stars_dist.run_files.directory import RunDirectory


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
    assert config.sampling.batch_size_per_task == 32
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
    "a key without its section": (
        lambda: set_layer("gamma=0.9"),
        "unknown key 'gamma', did you mean 'sac.gamma'? (set by --set gamma); `stars-dist config show` lists all",
    ),
    "unknown section": (lambda: set_layer("sak.gamma=1"), "unknown key 'sak', did you mean 'sac'?"),
    "wrong type": (lambda: set_layer("sac.gamma=high"), "--set sac.gamma must be a valid number, got high"),
    "value for a section": (lambda: set_layer("sac=3"), "sac must be a mapping"),
    "no value": (lambda: set_layer("sac.gamma"), "--set must read key.subkey=value"),
    "no yaml": (lambda: set_layer("sac.gamma=[1"), "must be given a YAML value"),
    "a budget without an update": (
        lambda: set_layer("steps=7"),
        "the first one is due 4 steps after the warm-up, got 7 steps with 4 of warm-up; raise --steps",
    ),
    "no actors": (lambda: flag_layer("--actors", "actors.num_actors", 0), "--actors must be greater than"),
    "a boolean": (lambda: set_layer("sac.tau=true"), "--set sac.tau must be a number, got true"),
    "a boolean in a list": (
        lambda: set_layer("network.critic_hidden=[64, yes]"),
        "--set network.critic_hidden must be a number, got true",
    ),
    "another base": (lambda: set_layer("steps=010"), "must be written in plain decimals, got 010 at line 1"),
    "another base, by flag": (
        lambda: flag_layer("--steps", "steps", "010"),
        "--steps must be written in plain decimals, got 010; leave the leading 0 out",
    ),
    "sixties": (lambda: set_layer("steps=1:30"), "must be written in plain decimals, got 1:30 at line 1"),
    "no whole number": (lambda: flag_layer("--steps", "steps", "1.5"), "--steps must be a valid integer"),
    "a key twice": (lambda: set_layer("sac={tau: 0.1, tau: 0.2}"), "got 'tau' at line 1 and again at line 1"),
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


@pytest.mark.parametrize(
    ("written", "steps"),
    [("1e6", 1_000_000), ("100k", 100_000), ("20M", 20_000_000), ("1.5k", 1500), ("900", 900)],
)
def test_counts_have_units_by_flag_and_in_yaml(written: str, steps: int) -> None:
    assert resolved(flag_layer("--steps", "steps", written)).plan.total_steps == steps
    assert resolved(set_layer(f"steps={written}")).plan.total_steps == steps


def test_numbers_and_texts_of_yaml_keep_their_meaning() -> None:
    config = resolved(
        set_layer("sac.learning_rate=1e-3"), set_layer("sac.gamma=.9"), set_layer("address=10.0.0.1:6379")
    ).plan.config
    assert (config.sac.learning_rate, config.sac.gamma, config.address) == (1e-3, 0.9, "10.0.0.1:6379")
    assert resolved(set_layer("serial=yes")).plan.config.serial
    assert resolved(set_layer("actors.max_policy_lag=null")).plan.config.actors.max_policy_lag is None


def test_duplicate_keys_of_a_file_are_refused_with_their_lines(tmp_path: Path) -> None:
    file = tmp_path / "twice.yaml"
    file.write_text("sac: {gamma: 0.97}\nsteps: 100\nsac: {tau: 0.5}\n")
    with pytest.raises(ValueError, match=r"twice.yaml: .* got 'sac' at line 1 and again at line 3"):
        preset_layer(str(file))


@pytest.mark.parametrize(
    "presets",
    [["stars", "laptop"], ["mtsac", "small"], ["paco"]],
    ids=lambda presets: "+".join(presets),
)
@pytest.mark.parametrize("assignments", [[], ["network.match_parameters=stars", "actors.num_actors=3"]])
def test_a_run_is_launched_again_from_its_config(
    presets: list[str], assignments: list[str], tmp_path: Path
) -> None:
    flags = {("--suite", "suite"): "toy:5", ("--seed", "seed"): "7", ("--steps", "steps"): "30k"}
    config = resolve(command_layers(presets, assignments, flags)).plan.config
    RunDirectory(tmp_path).write_config(config)
    again = resolve(command_layers([str(tmp_path / "config.yaml")], [], {("--suite", "suite"): None}))
    assert again.plan.config == config
    assert again.origins["suite"] == f"preset {tmp_path / 'config.yaml'}"


def test_the_config_of_an_older_run_keeps_its_method(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    values = resolved().plan.config.model_dump(mode="json")
    del values["network"]["shared"]["mix_norm"]
    file.write_text(yaml.safe_dump(values))
    assert resolve([preset_layer(str(file))]).plan.config.network.shared.mix_norm == "none"
