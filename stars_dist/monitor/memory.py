"""Memory of a local run: the proportional share (PSS) of this process and everything below it."""

from __future__ import annotations

import time

import psutil

MEASURED_FOR_S = 0.25  # of a tick: the kernel takes 10 ms for a process, and longer while memory is short


class ProcessTreeMemory:
    """Sums the memory of a process (this one) and its descendants; pages that they share are counted once.

    Of hundreds of processes some are measured at a time, the others count as they did last.
    """

    def __init__(self, root: psutil.Process | None = None, measured_for_s: float = MEASURED_FOR_S) -> None:
        self._root = root or psutil.Process()
        self._measured_for_s = measured_for_s
        self._pss_bytes: dict[int, int] = {}  # by process id, the one measured longest ago first

    def gib(self) -> float:
        """Measure for a while, at least one process, and return the sum in GiB."""
        processes = {process.pid: process for process in (self._root, *self._root.children(recursive=True))}
        known = {pid: pss for pid, pss in self._pss_bytes.items() if pid in processes}
        end = time.monotonic() + self._measured_for_s
        for pid in [*(processes.keys() - known.keys()), *known]:
            known.pop(pid, None)
            known[pid] = _pss_bytes(processes[pid])
            if time.monotonic() >= end:
                break
        self._pss_bytes = known
        return sum(known.values()) / 2**30


def _pss_bytes(process: psutil.Process) -> int:
    try:
        return process.memory_full_info().pss
    except (
        psutil.NoSuchProcess,
        psutil.AccessDenied,
        AttributeError,
    ):  # gone meanwhile; or no PSS on this system
        return 0
