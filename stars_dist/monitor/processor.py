"""Processor time of a local run: the cores that this process and everything below it keep busy."""

from __future__ import annotations

import time

import psutil


class ProcessTreeCores:
    """Tells of a process (this one) and its descendants how many cores they keep busy, from measurement to measurement.

    What a process has used that ended in between is not seen; one that is new counts from its own start.
    """

    def __init__(self, root: psutil.Process | None = None) -> None:
        self._root = root or psutil.Process()
        self._used_s, self._measured_at = self._measure(), time.monotonic()

    def busy(self) -> float:
        """Return the cores in use since the last call, in the mean; nan if no time has passed."""
        before_s, before_at = self._used_s, self._measured_at
        self._used_s, self._measured_at = self._measure(), time.monotonic()
        used_s = sum(used - before_s.get(process, 0.0) for process, used in self._used_s.items())
        elapsed_s = self._measured_at - before_at
        return used_s / elapsed_s if elapsed_s > 0 else float("nan")

    def _measure(self) -> dict[psutil.Process, float]:
        """Read the seconds of CPU that each process has used."""
        tree = (self._root, *self._root.children(recursive=True))
        return {process: used for process in tree if (used := _used_s(process)) is not None}


def _used_s(process: psutil.Process) -> float | None:
    try:
        times = process.cpu_times()
    except psutil.Error:  # gone meanwhile
        return None
    return times.user + times.system
