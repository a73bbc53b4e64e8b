"""Configuration layers: defaults, presets, files and flags merged into one RunConfig, each value with its origin."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from learner.parameter_match import match_parameters
from stars_dist.config import RunConfig


class Layer(NamedTuple):
    """Nested values of one origin; a later layer wins over an earlier one, leaf by leaf."""

    origin: str
    values: dict[str, Any]


METHODS = ("stars", "stars-large", "mtsac", "mtmhsac", "paco")  # a run is of one; the other presets change it
ABLATIONS = (
    "shared-only",
    "unique-only",
    "no-triplet",
    "uniform-sampling",
    "transition-priority-only",
    "task-priority-only",
)


class ResolvedConfig(NamedTuple):
    config: RunConfig
    origins: dict[str, str]  # dotted key -> origin, for every key that is not a default


def preset_names() -> list[str]:
    files = resources.files("stars_dist.presets").iterdir()
    return sorted(Path(file.name).stem for file in files if file.name.endswith(".yaml"))


def preset_layer(preset: str) -> Layer:
    """The layer of a preset of the package, or of a YAML file when the name ends in .yaml or .yml."""
    if preset.endswith((".yaml", ".yml")):
        path = Path(preset)
        if not path.is_file():
            raise ValueError(f"a preset file must exist, got '{preset}'; presets by name: {_listed()}")
        return Layer(f"preset {preset}", _parse_mapping(path.read_bytes(), preset))
    if preset not in preset_names():
        raise ValueError(
            f"unknown preset '{preset}'{_did_you_mean(preset, preset_names())}; use {_listed()} or FILE.yaml"
        )
    text = resources.files("stars_dist.presets").joinpath(f"{preset}.yaml").read_text()
    return Layer(f"preset {preset}", _parse_mapping(text, preset))


def set_layer(assignment: str) -> Layer:
    """The layer of one `--set a.b=c`; the value is YAML."""
    key, equals, value = assignment.partition("=")
    if not equals or not all(part.isidentifier() for part in key.split(".")):
        raise ValueError(
            f"--set must read key.subkey=value, got '{assignment}'; for example --set sac.gamma=0.98"
        )
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError:
        raise ValueError(
            f"--set {key} must be given a YAML value, got '{value}'; quote it if it is text"
        ) from None
    return flag_layer(f"--set {key}", key, parsed)


def flag_layer(origin: str, key: str, value: object) -> Layer:
    """The layer that sets one dotted key."""
    nested: Any = value
    for part in reversed(key.split(".")):
        nested = {part: nested}
    return Layer(origin, nested)


def resolve(layers: Sequence[Layer]) -> ResolvedConfig:
    """Merges the layers and validates the result.

    Raises:
        ValueError: one line with the first rule that is broken, the value, where it was set and what to do.
    """
    _check_one_method(layers)
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for layer in layers:
        for key, value in leaves(layer.values):
            _put(merged, key, value)
            origins[".".join(key)] = layer.origin
    try:
        config = RunConfig.model_validate(merged).resolved()
    except ValidationError as error:
        raise ValueError(_one_line(error.errors()[0], origins)) from None
    return ResolvedConfig(_matched(config, layers, origins), origins)


def _check_one_method(layers: Sequence[Layer]) -> None:
    methods = [name for name in METHODS if any(layer.origin == f"preset {name}" for layer in layers)]
    if len(methods) > 1:
        raise ValueError(
            f"a run is of one method, got presets {' and '.join(methods)}; leave out all but one"
        )


def _matched(config: RunConfig, layers: Sequence[Layer], origins: dict[str, str]) -> RunConfig:
    """The configuration with its hidden layers widened, if it asks to match another preset's parameter count.

    The reference is that preset in the place of this run's method and ablations, with every other layer as it is.
    """
    name = config.network.match_parameters
    if name is None:
        return config
    own = {f"preset {preset}" for preset in (*METHODS, *ABLATIONS)}
    others = [layer for layer in layers if layer.origin not in own]
    unmatched = flag_layer("", "network.match_parameters", None)
    reference = resolve([preset_layer(name), *others, unmatched]).config
    network = match_parameters(config.network, reference.network, config.replay_plan().spec)
    for key in ("actor_hidden", "critic_hidden", "unique"):
        if getattr(network, key) != getattr(config.network, key):
            origins[f"network.{key}"] = f"parameters matched to {name}"
    return config.model_copy(update={"network": network})


def leaves(values: Mapping[str, Any], prefix: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in values.items():
        key = (*prefix, str(name))
        if isinstance(value, Mapping) and value:
            yield from leaves(value, key)
        else:
            yield key, value


def _put(merged: dict[str, Any], key: tuple[str, ...], value: object) -> None:
    for part in key[:-1]:
        if not isinstance(merged.get(part), dict):
            merged[part] = {}
        merged = merged[part]
    merged[key[-1]] = value


def _parse_mapping(text: str | bytes, name: str) -> dict[str, Any]:
    try:
        values = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = getattr(error, "problem_mark", None)
        line = f" at line {where.line + 1}" if where else ""
        raise ValueError(f"a preset must be YAML, {name} does not parse{line}; mend the file") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ValueError(
            f"a preset must be a mapping of keys to values, {name} holds a {type(values).__name__}"
        )
    return values


def _one_line(error: ErrorDetails, origins: Mapping[str, str]) -> str:
    path = [str(part) for part in error["loc"]]
    key = ".".join(path)
    origin = next((origins[k] for k in origins if k == key or k.startswith(f"{key}.")), None)
    if error["type"] == "extra_forbidden":
        return f"unknown key '{key}'{_did_you_mean(path[-1], _fields_at(path[:-1]))}{_set_by(origin)}"
    if error["type"] == "value_error":
        below = list(dict.fromkeys(o for k, o in origins.items() if k.startswith(f"{key}.")))
        message = error["msg"].removeprefix("Value error, ")
        return message + (_set_by(", ".join(below)) if len(below) > 1 else "")  # who contradicts whom
    if error["type"] in ("model_type", "dict_type", "model_attributes_type"):
        return f"{key} must be a mapping of keys to values, got {error['input']!r}{_set_by(origin)}"
    rule = error["msg"].replace("Input should be", "must be").split(", unable")[0]
    subject = origin if origin and origin.startswith("--") else key
    return f"{subject} {rule}, got {error['input']}{_set_by(origin if subject == key else None)}"


def _fields_at(path: Sequence[str]) -> list[str]:
    """The names that may stand below a dotted path of the configuration."""
    model: type[BaseModel] = RunConfig
    for part in path:
        field = model.model_fields.get(part)
        if field is None:
            return []
        kinds = [field.annotation, *get_args(field.annotation)]
        below = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if not below:
            return []
        model = below[0]
    return list(model.model_fields)


def _did_you_mean(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f", did you mean '{near[0]}'?" if near else ""


def _set_by(origin: str | None) -> str:
    return f" (set by {origin})" if origin else ""


def _listed() -> str:
    return ", ".join(preset_names())
