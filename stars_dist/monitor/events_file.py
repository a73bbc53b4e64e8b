"""TensorBoard's events, in a file of its format that a full disk pauses and does not break."""

# protobuf makes its classes at run time
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Sequence
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

from replay_service.full_disk import DiskPause
from stars_dist.monitor.append_file import AppendFile

PREFIX = "events.out.tfevents."  # of the names by which TensorBoard knows its files
_VERSION = "brain.Event:2"


class EventsFile:
    """One file of events for one start of a run.

    TensorBoard's own writer ends for good at the first error, with a traceback from its thread.
    """

    def __init__(self, directory: Path, purge_step: int | None, pause: DiskPause) -> None:
        """`purge_step` is the step from which TensorBoard is to forget what earlier files of the directory hold."""
        number = len(list(directory.glob(f"{PREFIX}*")))
        name = f"{PREFIX}{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.{number}"
        self._file = AppendFile(directory / name, pause)
        self._append(Event(file_version=_VERSION))
        if purge_step is not None:
            self._append(Event(step=purge_step, file_version=_VERSION))
            self._append(Event(step=purge_step, session_log=SessionLog(status=SessionLog.START)))

    def append(self, step: int, values: Sequence[Summary.Value]) -> None:
        """Append one event of all the values."""
        self._append(Event(step=step, summary=Summary(value=values)))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _append(self, event: Event) -> None:
        event.wall_time = time.time()
        data = event.SerializeToString()
        length = struct.pack("<Q", len(data))
        record = (
            length,
            struct.pack("<I", masked_crc32c(length)),
            data,
            struct.pack("<I", masked_crc32c(data)),
        )
        self._file.append(b"".join(record))
