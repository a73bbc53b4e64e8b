"""How many cores this process may use, which in a container or under taskset is fewer than the machine has."""

from __future__ import annotations

import math
import os
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of cgroup v2: quota and period in microseconds
_QUOTA_V1 = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")  # of cgroup v1, where -1 is no limit
_PERIOD_V1 = _QUOTA_V1.with_name("cpu.cfs_period_us")


def num_cores() -> int:
    """Count the cores by affinity and by the container's quota, at least one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(cores, _quota(_QUOTA), _quota(_QUOTA_V1, _PERIOD_V1))))


def _quota(*paths: Path) -> float:
    try:
        quota, period = (float(number) for path in paths for number in path.read_text().split())
    except (OSError, ValueError):  # "max" is no number: no limit
        return math.inf
    return quota / period if quota > 0 and period > 0 else math.inf
