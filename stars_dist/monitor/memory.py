"""Memory of a local run: the proportional share (PSS) of this process and everything below it."""

from __future__ import annotations

import psutil


def process_tree_gib(root: psutil.Process | None = None) -> float:
    """Sum the memory of a process (this one) and its descendants, in GiB; pages they share are counted once."""
    root = root or psutil.Process()
    return sum(map(_pss_bytes, [root, *root.children(recursive=True)])) / 2**30


def _pss_bytes(process: psutil.Process) -> int:
    try:
        return process.memory_full_info().pss
    except (
        psutil.NoSuchProcess,
        psutil.AccessDenied,
        AttributeError,
    ):  # gone meanwhile; or no PSS on this system
        return 0
