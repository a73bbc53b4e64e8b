"""A configuration by what a person calls it: a run, a YAML file or presets by name, resolved in one way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from stars_dist.config.merge import ResolvedRun, command_layers, leaves, resolve
from stars_dist.run_files.directory import RunDirectory


def read_source(source: str) -> ResolvedRun:
    """Resolve a run directory, a FILE.yaml (a preset's or a run's), or presets as NAME or NAME+NAME.

    Raises:
        ValueError: it is none of these, or breaks a rule of the configuration.
    """
    path = Path(source)
    if path.is_dir():
        run = RunDirectory.existing(path)
        return ResolvedRun(run.read_plan(), run.read_provenance()["origins"])
    names = [source] if path.suffix in (".yaml", ".yml") else source.split("+")
    return resolve(command_layers(names, (), {}))


def values_of(resolved: ResolvedRun) -> dict[str, Any]:
    """Return every value of a resolved configuration by its dotted key."""
    return {".".join(key): value for key, value in leaves(resolved.plan.config.model_dump(mode="json"))}


def differences(first: ResolvedRun, second: ResolvedRun) -> dict[str, tuple[Any, Any]]:
    """Find the keys whose values differ, with both values; None where one has no such key."""
    one, other = values_of(first), values_of(second)
    keys = dict.fromkeys((*one, *other))
    return {key: (one.get(key), other.get(key)) for key in keys if one.get(key) != other.get(key)}


def annotated_yaml(resolved: ResolvedRun) -> str:
    """Format a resolved configuration as YAML, each value that is no default with its origin behind it."""
    text = yaml.safe_dump(resolved.plan.config.model_dump(mode="json"), sort_keys=False)
    path: list[str] = []
    lines = []
    for line in text.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        if ":" in line and not line.lstrip().startswith("- "):
            path[depth:] = [line.strip().split(":")[0]]
        origin = resolved.origins.get(".".join(path))
        is_key = not line.lstrip().startswith("- ")
        lines.append(f"{line}  # {origin}" if origin and is_key else line)
    return "\n".join(lines)
