"""Configurations of older versions: keys that came later get what runs without them were computed with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# A new field whose default changes the method goes in here, or older runs change their method when they are resumed.
BEFORE_THE_FIELD: Mapping[str, Any] = {
    "network": {
        "shared": {"mix_norm": "none"},
        "unique": {"task_init_std": 1.0, "normalize_input": False, "within_variance": 0.0},
    },
    "sac": {"extreme_loss": {"scale": "none", "max_consecutive": 2**31 - 1}},  # PaCo's rule has no bound
}


def complete(values: Any, before: Mapping[str, Any] = BEFORE_THE_FIELD) -> Any:
    """Return a run's nested values with those of `before` where it has none; what is no mapping as it is."""
    if not isinstance(values, Mapping):
        return values
    whole = dict(values)
    for key, value in before.items():
        if isinstance(value, Mapping):
            whole[key] = complete(whole.get(key, {}), value)
        else:
            whole.setdefault(key, value)
    return whole
