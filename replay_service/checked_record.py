"""Checked records: small JSON files that tell a damaged one from one that was written with other values."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from replay_service.atomic_file import write_text

_CHECK = "check"


def write_record(path: Path, values: Mapping[str, Any]) -> None:
    """Write JSON values with their check, whole or not at all."""
    write_text(path, record_text(values))


def record_text(values: Mapping[str, Any]) -> str:
    """Return what `write_record` writes."""
    return json.dumps({**values, _CHECK: _check(values)}, indent=2) + "\n"


def read_record(path: Path) -> dict[str, Any]:
    """Read what `write_record` wrote, or an earlier version without a check.

    Raises:
        ValueError: it is damaged.
    """
    values = json.loads(path.read_text())
    if not isinstance(values, dict) or values.pop(_CHECK, None) not in (None, _check(values)):
        raise ValueError(f"{path} is damaged")
    return values


def _check(values: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(values, sort_keys=True).encode())
