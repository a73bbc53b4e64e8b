"""Ray's own processes of a local cluster, without which no process can be started: whether they live."""

from __future__ import annotations

import atexit
import os
import sys
from contextlib import suppress
from typing import Any

import ray
import ray._private.worker

from stars_dist.errors import RunFailedError

_VITAL = ("gcs_server", "raylet")


def lost_process() -> str | None:
    """Name the first of Ray's processes that this program has started and that has died; None if all live."""
    node: Any = ray._private.worker._global_node  # pyright takes it for None
    dead = [] if node is None else [kind for kind, _ in node.dead_processes()]
    return next((kind for kind in _VITAL if kind in dead), None)


def check_ray() -> None:
    """Raise RunFailedError if one has died: Ray's library waits for it, and ends the program after a minute unasked."""
    if (lost := lost_process()) is not None:
        raise RunFailedError(f"Ray's {lost} has died, and with it what the run needs to start processes")


def shut_down() -> None:
    """Disconnect from Ray; one that has lost a process, for which this would wait, ends with the program."""
    if lost_process() is None:
        ray.shutdown()
    else:
        atexit.unregister(ray.shutdown)
        atexit.register(_end_at_once)


def _end_at_once() -> None:
    """End the program, which has failed, before Ray's library is unloaded: that would crash."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        with suppress(OSError):
            stream.flush()
    os._exit(1)
