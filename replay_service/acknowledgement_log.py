"""The acknowledgement log: what an actor was told is stored, kept apart from the shards, for an audit of them.

<directory>/actor-<actor>.jsonl has a line per acknowledged chunk, with a digest of each of its transitions. Lines are
appended whole, so a killed actor leaves all but the one in the making, and its next process goes on in the same file.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from replay_service.rows import pack, row_dtype, words
from replay_service.types import Chunk, TransitionSpec

_DIGEST_SEED = 20_260_726  # of the digests' multipliers, the same in every process


class Acknowledged(NamedTuple):
    """One acknowledged chunk."""

    at: float  # seconds since the epoch, when the actor took the answer
    pid: int  # of the actor's process
    actor: int
    incarnation: int
    sequence: int
    task_id: int
    weights_version: int
    digest: NDArray[np.uint64]  # u64[B], of its transitions


class AcknowledgementLog:
    """The log of one actor. What cannot be written is lost, and an audit will miss it: nothing waits for the disk."""

    def __init__(self, directory: Path, actor: int, spec: TransitionSpec) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._row_dtype = row_dtype(spec)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._file = os.open(_path(directory, actor), flags, 0o644)

    def append(self, chunk: Chunk) -> None:
        """Note that a chunk was acknowledged."""
        digest = row_digests(pack(chunk.transitions, self._row_dtype))
        task_id = int(chunk.transitions.task_id[0])
        known = (round(time.time(), 3), os.getpid(), *chunk.id, task_id, chunk.weights_version)
        # The newline first: after a line that a kill cut short, this one is whole.
        line = f"\n{json.dumps([*known, digest.tobytes().hex()])}"
        with suppress(OSError):  # a disk without room
            os.write(self._file, line.encode())


def read_acknowledged(path: Path, offset: int = 0) -> tuple[list[Acknowledged], int]:
    """Read what is in a log from `offset` on, and the offset to go on from; lines cut short are left out."""
    with path.open("rb") as file:
        file.seek(offset)
        lines = file.read().split(b"\n")
    found = list(_parsed(lines))
    is_last_whole = bool(lines[-1]) and _parse(lines[-1]) is not None
    rest = 0 if is_last_whole else len(lines[-1])
    return found, offset + sum(map(len, lines)) + len(lines) - 1 - rest


def row_digests(rows: NDArray) -> NDArray[np.uint64]:
    """Return a digest of each row, row_dtype[n]: two different ones have the same with a chance of about 2^-64."""
    packed = words(rows).astype(np.uint64)
    multiplier = np.random.default_rng(_DIGEST_SEED).integers(
        1, 2**64, packed.shape[-1], np.uint64, endpoint=False
    )
    digest = (packed * (multiplier | np.uint64(1))).sum(axis=-1, dtype=np.uint64)
    return digest ^ (digest >> np.uint64(29))


def _path(directory: Path, actor: int) -> Path:
    return directory / f"actor-{actor}.jsonl"


def _parsed(lines: list[bytes]) -> Iterator[Acknowledged]:
    return (entry for line in lines if (entry := _parse(line)) is not None)


def _parse(line: bytes) -> Acknowledged | None:
    try:
        *known, digest = json.loads(line)
        return Acknowledged._make([*known, np.frombuffer(bytes.fromhex(digest), np.uint64)])
    except (ValueError, TypeError):
        return None
