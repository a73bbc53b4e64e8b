"""Preset files: the package's own by name, anyone's by path, each read as one layer of configuration."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import yaml

from actors.near_name import did_you_mean
from stars_dist.config.older_config import complete
from stars_dist.config.yaml_text import read_yaml

_OF_A_RUN = {
    "suite",
    "seed",
    "steps",
    "network",
    "sac",
    "sampling",
    "replay",
}  # the config.yaml of a run has all of them

Kind = Literal["methods", "ablations", "mixins"]


class ConfigLayer(NamedTuple):
    """Nested values of one origin; a later layer wins over an earlier one, leaf by leaf."""

    origin: str
    values: dict[str, Any]


class PresetSummary(NamedTuple):
    """A preset of the package and what it is, in one sentence."""

    name: str
    kind: str
    summary: str


def preset_names(*kinds: Kind) -> list[str]:
    """List the package's presets of these kinds, sorted; of all kinds without an argument."""
    return sorted(path.stem for path in _preset_paths() if not kinds or path.parent.name in kinds)


def list_presets() -> list[PresetSummary]:
    """Describe the package's presets, methods first, each by the comment at the head of its file."""
    kinds = get_args(Kind)
    paths = sorted(_preset_paths(), key=lambda path: (kinds.index(path.parent.name), path.stem))
    return [PresetSummary(path.stem, path.parent.name, _first_sentence(path.read_text())) for path in paths]


def _first_sentence(text: str) -> str:
    comment = [line.removeprefix("#").strip() for line in text.splitlines() if line.startswith("#")]
    return " ".join(comment).split(". ")[0].rstrip(".")


def preset_layer(preset: str) -> ConfigLayer:
    """Read a preset of the package, or a YAML file where the name ends in .yaml or .yml, a run's config.yaml too.

    Raises:
        ValueError: there is no such preset or file, or it is no YAML mapping.
    """
    if preset.endswith((".yaml", ".yml")):
        path = Path(preset)
        if not path.is_file():
            raise ValueError(f"a preset file must exist, got '{preset}'; presets by name: {_listed()}")
        return ConfigLayer(f"preset {preset}", _parse_mapping(path.read_bytes(), preset))
    own = {path.stem: path for path in _preset_paths()}
    if preset not in own:
        raise ValueError(
            f"unknown preset '{preset}'{did_you_mean(preset, own)}; use {_listed()} or FILE.yaml"
        )
    return ConfigLayer(f"preset {preset}", _parse_mapping(own[preset].read_bytes(), preset))


def _preset_paths() -> list[Path]:
    return list(Path(str(resources.files("stars_dist.config"))).glob("presets/*/*.yaml"))


def _parse_mapping(text: bytes, name: str) -> dict[str, Any]:
    try:
        values = read_yaml(text)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = getattr(error, "problem_mark", None)
        line = f" at line {where.line + 1}" if where else ""
        raise ValueError(f"a preset must be YAML, {name} does not parse{line}; mend the file") from None
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ValueError(
            f"a preset must be a mapping of keys to values, {name} holds a {type(values).__name__}"
        )
    return complete(values) if values.keys() >= _OF_A_RUN else values


def _listed() -> str:
    return ", ".join(preset_names())
