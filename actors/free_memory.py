"""How much memory is free for this process, which in a container or a job is less than the machine has."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

_GROUPS = Path("/proc/self/cgroup")  # the control groups of this process: hierarchy:controllers:path
_ROOT = Path("/sys/fs/cgroup")


class _Group(NamedTuple):
    """A control group's files."""

    limit: Path
    usage: Path
    stat: Path
    reclaimable: tuple[str, ...]  # of the usage: pages of files, which are given up when memory is short


def free_memory_bytes() -> float:
    """Return what this process and its children may still take, by the machine and by every group that they are in."""
    return max(0.0, min([psutil.virtual_memory().available, *map(_left, _groups())]))


def _groups() -> Iterator[_Group]:
    """List the groups of this process that may have a limit, of cgroup v2 and v1, the innermost first.

    In a container the path may be the host's, of which only the root is there.
    """
    try:
        lines = [line.split(":", 2) for line in _GROUPS.read_text().splitlines()]
    except OSError:  # no Linux
        return
    for _, controllers, path in lines:
        if not controllers:
            (limit, usage), prefix = ("memory.max", "memory.current"), ""
        elif "memory" in controllers.split(","):
            (limit, usage), prefix = ("memory.limit_in_bytes", "memory.usage_in_bytes"), "total_"
        else:
            continue
        root = _ROOT / "memory" if controllers else _ROOT
        inner = root / path.lstrip("/")
        reclaimable = (f"{prefix}active_file", f"{prefix}inactive_file")
        for place in (inner, *inner.parents[: len(inner.parts) - len(root.parts)]):
            yield _Group(place / limit, place / usage, place / "memory.stat", reclaimable)


def _left(group: _Group) -> float:
    try:
        limit, usage = (int(file.read_text()) for file in group[:2])
        counters = dict(line.split() for line in group.stat.read_text().splitlines())
        return limit - usage + sum(int(counters[name]) for name in group.reclaimable)
    except (OSError, ValueError, KeyError):  # "max" is no number: no limit
        return math.inf
