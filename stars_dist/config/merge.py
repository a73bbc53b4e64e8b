"""Merging of configuration layers: presets, files and flags become one plan, each value with its origin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from learner.parameter_match import match_parameters
from stars_dist.config.plan_checks import check_learns
from stars_dist.config.preset_files import ConfigLayer, preset_layer, preset_names
from stars_dist.config.run_config import RunConfig
from stars_dist.config.run_plan import RunPlan, plan_run
from stars_dist.config.unknown_key import unknown_key
from stars_dist.config.value_types import field_type, fitted
from stars_dist.config.yaml_text import read_yaml

Flags = Mapping[tuple[str, str], object]
"""Values of a command's flags by (flag, dotted key); None: the flag was not given."""


class ResolvedRun(NamedTuple):
    """The plan of a run and where each of its values comes from."""

    plan: RunPlan
    origins: dict[str, str]  # dotted key -> origin, for every key that is not a default


def command_layers(presets: Sequence[str], assignments: Sequence[str], flags: Flags) -> list[ConfigLayer]:
    """Make the layers of a command line, the weakest first: presets, then `--set`, then flags.

    Raises:
        ValueError: a preset is unknown or an assignment has another form.
    """
    given = [flag_layer(flag, key, value) for (flag, key), value in flags.items() if value is not None]
    return [*map(preset_layer, presets), *map(set_layer, assignments), *given]


def set_layer(assignment: str) -> ConfigLayer:
    """Read one `--set a.b=c`; the value is YAML. ValueError for any other form."""
    key, equals, value = assignment.partition("=")
    if not equals or not all(part.isidentifier() for part in key.split(".")):
        raise ValueError(
            f"--set must read key.subkey=value, got '{assignment}'; for example --set sac.gamma=0.98"
        )
    try:
        parsed = read_yaml(value)
    except ValueError as error:
        raise ValueError(f"--set {key}: {error}") from None
    except yaml.YAMLError:
        raise ValueError(
            f"--set {key} must be given a YAML value, got '{value}'; quote it if it is text"
        ) from None
    return flag_layer(f"--set {key}", key, parsed)


def flag_layer(origin: str, key: str, value: object) -> ConfigLayer:
    """Make the layer that sets one dotted key."""
    nested: Any = value
    for part in reversed(key.split(".")):
        nested = {part: nested}
    return ConfigLayer(origin, nested)


def resolve(layers: Sequence[ConfigLayer]) -> ResolvedRun:
    """Merge the layers, validate the result and plan the run.

    Raises:
        ValueError: one line with the first rule that is broken, the value, where it was set and what to do.
    """
    _check_one_method(layers)
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for layer in layers:
        for key, value in leaves(layer.values):
            _put(merged, key, _fitted(key, value, layer.origin))
            origins[".".join(key)] = layer.origin
    try:
        config = RunConfig.model_validate(merged)
    except ValidationError as error:
        raise ValueError(_one_line(error.errors()[0], origins)) from None
    _check_large_critics(layers, config, origins)
    plan = plan_run(config)
    _check_contrast(config, plan.num_tasks, origins)
    check_learns(plan.replay)
    return ResolvedRun(_matched(plan, layers, origins), origins)


def _check_one_method(layers: Sequence[ConfigLayer]) -> None:
    """Check that at most one preset is a method: a run is of one, and the other presets change it."""
    origins = {layer.origin for layer in layers}
    methods = [name for name in preset_names("methods") if f"preset {name}" in origins]
    if len(methods) > 1:
        raise ValueError(
            f"a run is of one method, got presets {' and '.join(methods)}; leave out all but one"
        )


def _check_large_critics(
    layers: Sequence[ConfigLayer], config: RunConfig, origins: Mapping[str, str]
) -> None:
    """Check that no mixin over stars-large sets its critics, which are all that tells it from stars."""
    origin = origins.get("network.critic_hidden")
    mixins = {f"preset {name}" for name in preset_names("mixins")}
    if origin in mixins and "preset stars-large" in {layer.origin for layer in layers}:
        raise ValueError(
            f"preset stars-large must keep its wide critics, got {origin} over it with network.critic_hidden "
            f"{list(config.network.critic_hidden or ())}; give stars-large after it, or set the widths by "
            "--set network.critic_hidden=[1024,1024,1024]"
        )


def _check_contrast(config: RunConfig, num_tasks: int, origins: Mapping[str, str]) -> None:
    """Check that there are tasks to tell apart where a contrast was asked for; that of a preset is left out instead."""
    keys = ("network.unique.objective", "network.unique.triplet_weight")
    if any(not origins[key].startswith("preset ") for key in keys if key in origins):
        config.network.check_tasks(num_tasks)


def _matched(plan: RunPlan, layers: Sequence[ConfigLayer], origins: dict[str, str]) -> RunPlan:
    """Widen the hidden layers of a plan that asks to match another preset's parameter count.

    The reference is that preset in the place of this run's method and ablations, with every other layer as it is.
    """
    own = plan.config.network
    if own.match_parameters is None:
        return plan
    replaced = {f"preset {preset}" for preset in preset_names("methods", "ablations")}
    others = [layer for layer in layers if layer.origin not in replaced]
    unmatched = flag_layer("", "network.match_parameters", None)
    reference = resolve([preset_layer(own.match_parameters), *others, unmatched]).plan
    network = match_parameters(own, reference.config.network, plan.replay.spec)
    for key in ("actor_hidden", "critic_hidden", "unique"):
        if getattr(network, key) != getattr(own, key):
            origins[f"network.{key}"] = f"parameters matched to {own.match_parameters}"
    return plan.override(network=network)


def leaves(values: Mapping[str, Any], prefix: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Walk nested values: the path of names to each leaf, and the leaf."""
    for name, value in values.items():
        key = (*prefix, str(name))
        if isinstance(value, Mapping) and value:
            yield from leaves(value, key)
        else:
            yield key, value


def _fitted(key: tuple[str, ...], value: object, origin: str) -> object:
    """Bring a value into the form that its field takes; what no field takes is left to the validation."""
    annotation = field_type(RunConfig, key)
    try:
        return value if annotation is None else fitted(value, annotation)
    except ValueError as error:
        name = ".".join(key)
        subject, where = (origin, None) if origin.startswith("--") else (name, origin)
        raise ValueError(f"{subject} {error}{_set_by(where)}") from None


def _put(merged: dict[str, Any], key: tuple[str, ...], value: object) -> None:
    for part in key[:-1]:
        if not isinstance(merged.get(part), dict):
            merged[part] = {}
        merged = merged[part]
    merged[key[-1]] = value


def _one_line(error: ErrorDetails, origins: Mapping[str, str]) -> str:
    path = [str(part) for part in error["loc"]]
    key = ".".join(path)
    origin = next((origins[k] for k in origins if k == key or k.startswith(f"{key}.")), None)
    if error["type"] == "extra_forbidden":
        return f"{unknown_key(path)}{_set_by(origin)}; `stars-dist config show` lists all"
    if error["type"] == "value_error":
        below = list(dict.fromkeys(o for k, o in origins.items() if k.startswith(f"{key}.")))
        message = error["msg"].removeprefix("Value error, ")
        return message + (_set_by(", ".join(below)) if len(below) > 1 else "")  # who contradicts whom
    if error["type"] in ("model_type", "dict_type", "model_attributes_type"):
        return f"{key} must be a mapping of keys to values, got {error['input']!r}{_set_by(origin)}"
    rule = error["msg"].replace("Input should be", "must be").split(", unable")[0]
    subject = origin if origin and origin.startswith("--") else key
    return f"{subject} {rule}, got {error['input']}{_set_by(origin if subject == key else None)}"


def _set_by(origin: str | None) -> str:
    return f" (set by {origin})" if origin else ""
