"""Runs of older versions keep their method when they are resumed: what their config.yaml lacks is what it was then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from stars_dist.config.merge import flag_layer, resolve, set_layer
from stars_dist.config.older_config import complete
from stars_dist.config.preset_files import preset_layer
from stars_dist.config.run_config import RunConfig
from stars_dist.run_files.directory import RunDirectory

# The section `network` that a run of stars wrote before the fields came.
OLDER_NETWORK = """
shared:
  enabled: true
  kind: composed
  num_slices: null
  task_input: none
  slice_init: equal
  mix_init: simplex
unique:
  enabled: true
  task_dim: 16
  hidden: [256, 256]
  dim: 64
  triplet_weight: 0.1
  triplet_margin: 0.2
  triplets_per_anchor: 1
head: composed
actor_hidden: [400, 400, 400]
critic_hidden: [400, 400, 400]
critic_layer_norm: false
observation_norm: false
match_parameters: null
"""


def _written(path: Path, *sets: str) -> tuple[RunDirectory, RunConfig, dict[str, Any]]:
    """A run of this version: its directory, its configuration and what its file holds."""
    layers = [flag_layer("--suite", "suite", "toy:4"), preset_layer("stars"), *map(set_layer, sets)]
    run, config = RunDirectory(path), resolve(layers).plan.config
    run.write_config(config)
    return run, config, yaml.safe_load(run.config_file.read_text())


def test_an_older_run_keeps_its_method(tmp_path: Path) -> None:
    run, _, values = _written(tmp_path)
    values["network"] = yaml.safe_load(OLDER_NETWORK)
    run.config_file.write_text(yaml.safe_dump(values))
    network = run.read_config().network
    assert network.shared.mix_norm == "none"
    assert not network.unique.normalize_input and network.normalized_branches == ()
    assert (network.unique.within_variance, network.unique.task_init_std) == (0.0, 1.0)
    assert network.unique.objective == "triplet"
    assert (network.shared.slice_init, network.shared.mix_init) == ("equal", "simplex")  # as they are written
    assert network.unique.triplet_margin == 0.2
    assert run.read_plan().config.network == network


def test_the_extreme_loss_rule_of_an_older_run_has_no_bound(tmp_path: Path) -> None:
    run, _, values = _written(tmp_path)
    values["sac"]["extreme_loss"] = {"enabled": True, "threshold": 3e3}
    run.config_file.write_text(yaml.safe_dump(values))
    rule = run.read_config().sac.extreme_loss
    assert rule.scale == "none" and rule.max_consecutive > 10**9


@pytest.mark.parametrize("sets", [(), ("network.shared.mix_norm=none", "network.unique.within_variance=0.1")])
def test_a_run_of_this_version_is_read_as_it_was_written(tmp_path: Path, sets: tuple[str, ...]) -> None:
    run, config, values = _written(tmp_path, *sets)
    assert run.read_config() == config
    assert complete(values) == values  # nothing is missing


def test_values_of_older_runs_are_fields_of_the_configuration() -> None:
    assert RunConfig.model_validate(complete({})).network.shared.mix_norm == "none"
