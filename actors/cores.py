"""How many cores this process may use, which in a container or under taskset is fewer than the machine has."""

from __future__ import annotations

import math
import os
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of cgroup v2: quota and period in microseconds


def num_cores() -> int:
    """Count the cores by affinity and by the container's quota, at least one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(cores, _quota(_QUOTA))))


def _quota(path: Path) -> float:
    try:
        quota, period = path.read_text().split()
        return float(quota) / float(period)  # "max" is no number: no limit
    except (OSError, ValueError):
        return math.inf
