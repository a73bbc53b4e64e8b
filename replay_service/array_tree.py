"""States as nested dictionaries and lists, kept in a directory: arrays in one file, all else as JSON beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

_ARRAY_KEY = "__array__"


def write_tree(directory: Path, name: str, tree: Any) -> None:
    """Write `<name>.json` and `<name>.npz`; tuples come back as lists."""
    arrays: dict[str, Any] = {}
    skeleton = _without_arrays(tree, arrays)
    (directory / f"{name}.json").write_text(json.dumps(skeleton))  # NaN is allowed: nobody else reads it
    with (directory / f"{name}.npz").open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def read_tree(directory: Path, name: str) -> Any:
    """Read what `write_tree` wrote."""
    with np.load(directory / f"{name}.npz", allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}
    return _with_arrays(json.loads((directory / f"{name}.json").read_text()), arrays)


def _without_arrays(tree: Any, arrays: dict[str, Any]) -> Any:
    if isinstance(tree, np.ndarray):
        key = f"a{len(arrays)}"
        arrays[key] = tree
        return {_ARRAY_KEY: key}
    if isinstance(tree, dict):
        return {key: _without_arrays(value, arrays) for key, value in tree.items()}
    return [_without_arrays(value, arrays) for value in tree] if isinstance(tree, list | tuple) else tree


def _with_arrays(tree: Any, arrays: dict[str, Any]) -> Any:
    if isinstance(tree, list):
        return [_with_arrays(value, arrays) for value in tree]
    if not isinstance(tree, dict):
        return tree
    if tree.keys() == {_ARRAY_KEY}:
        return arrays[tree[_ARRAY_KEY]]
    return {key: _with_arrays(value, arrays) for key, value in tree.items()}
