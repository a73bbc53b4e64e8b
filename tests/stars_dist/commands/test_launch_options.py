"""The options of `launch` and the keys of the configuration that they give."""

from __future__ import annotations

from pathlib import Path

from stars_dist.commands import launch_options as options
from stars_dist.config.merge import command_layers, resolve

GIVEN = {
    "suite": "toy:4",
    "actors": "3",
    "steps": "50000",
    "seed": "7",
    "learners": "2",
    "device": options.Device.CPU,
    "shards": "2",
    "address": "local",
    "wait_for_cores": "5",
    "checkpoint_dir": "copies",
    "checkpoint_every": "11000",
    "replay_snapshot_every": "12000",
    "eval_every": "13000",
    "eval_episodes": "6",
    "serial": False,
    "tracker": ["mlflow"],
}


def test_every_option_gives_its_keys() -> None:
    assert GIVEN.keys() == options.KEYS.keys()
    config = resolve(command_layers(["small"], [], options.flags(GIVEN))).plan.config
    assert (config.suite, config.actors.num_actors, config.steps, config.seed) == ("toy:4", 3, 50_000, 7)
    assert (config.learner.num_learners, config.device, config.replay.num_shards) == (2, "cpu", 2)
    assert (config.address, config.wait_for_cores_s, config.trackers) == ("local", 5, ("mlflow",))
    assert config.checkpoint.directory == str(Path("copies").absolute())
    assert config.checkpoint.every_env_steps == 11_000
    assert config.replay.snapshot_every_env_steps == 12_000
    evaluation = config.evaluation
    assert (evaluation.every_env_steps, evaluation.episodes_per_task) == (13_000, 6)
    assert evaluation.final_episodes_per_task == 6


def test_what_is_not_given_leaves_the_configuration_as_it_is() -> None:
    nothing = {name: [] if name == "tracker" else None for name in options.KEYS} | {"serial": False}
    flags = options.flags({**nothing, "shards": "auto"})
    assert set(flags.values()) == {None}
