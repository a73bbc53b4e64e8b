"""An unknown key of the configuration: what the user may have meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import get_args

from pydantic import BaseModel

from actors.near_name import did_you_mean
from stars_dist.config.run_config import RunConfig


def unknown_key(path: Sequence[str]) -> str:
    """Say that a dotted key is unknown, and which is meant: one of that name elsewhere, or a near one beside it."""
    elsewhere = [".".join(key) for key in _keys(()) if key[-1] == path[-1]]
    meant = f", did you mean {' or '.join(map(repr, elsewhere))}?" if elsewhere else ""
    return f"unknown key '{'.'.join(path)}'{meant or did_you_mean(path[-1], _fields_at(path[:-1]))}"


def _keys(path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """List the path of every field below a path, sections too."""
    for name in _fields_at(path):
        yield (*path, name)
        yield from _keys((*path, name))


def _fields_at(path: Sequence[str]) -> list[str]:
    """List the names that may stand below a dotted path of the configuration."""
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
