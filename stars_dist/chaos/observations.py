"""What a chaos run sees of its training from outside: acknowledgements, shards' files, metrics, checkpoints, lines."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from actors.checkpoint_path import checkpoint_paths
from replay_service.acknowledgement_log import read_acknowledged
from stars_dist.run_files.directory import RunDirectory


class ShardProgress(NamedTuple):
    """A shard's counters, as its files hold them at this moment."""

    incarnation: int
    moved: int  # transitions stored and rows drawn: changes with whatever it does


class MetricLine(NamedTuple):
    """One periodic line of the metrics, and when it was seen."""

    seen_at: float  # seconds since the epoch
    env_steps: int
    learner_steps: int
    learner_restarts: float


class Observations:
    """The newest of everything; `poll` reads what is new."""

    def __init__(self, run: RunDirectory, acknowledgements: Path) -> None:
        self.acknowledged_at: dict[
            int, float
        ] = {}  # by actor: its newest acknowledgement, seconds since the epoch
        self.actor_of_pid: dict[int, int] = {}
        self.chunks_of_pid: Counter[int] = Counter()  # acknowledged
        self.metrics: list[MetricLine] = []
        self.lines: list[tuple[float, str]] = []  # what the driver printed, and when it was seen
        self.driver_started_at = 0.0  # the newest one
        self._run, self._acknowledgements = run, acknowledgements
        self._offsets: dict[Path, int] = {}
        self._metrics_tail = _Tail(run.metrics_file)

    def poll(self, lines: list[str]) -> None:
        """Take what is new, `lines` of the driver among it."""
        now = time.time()
        self.lines += [(now, line) for line in lines]
        for path in self._acknowledgements.glob("actor-*.jsonl"):
            entries, self._offsets[path] = read_acknowledged(path, self._offsets.get(path, 0))
            for entry in entries:
                self.acknowledged_at[entry.actor] = entry.at
                self.actor_of_pid[entry.pid] = entry.actor
                self.chunks_of_pid[entry.pid] += 1
        for values in self._metrics_tail.new():
            restarts = values.get("perf/restarts/learner", 0.0)
            clocks = int(values["env_steps"]), int(values["learner_steps"])
            if "perf/env_steps_per_s" in values:
                self.metrics.append(MetricLine(now, *clocks, restarts))

    def shards(self) -> dict[int, ShardProgress]:
        """Read the counters of the shards; one whose files are not there yet is left out."""
        found = {}
        for path in self._run.replay.glob("shard-*"):
            try:
                tables, shard = (np.load(path / f"{name}.npy", mmap_mode="r") for name in ("tables", "shard"))
            except (OSError, ValueError):
                continue
            moved = int(tables["count"].sum() + tables["sampled"].sum())
            found[int(path.name.removeprefix("shard-"))] = ShardProgress(int(shard["incarnation"]), moved)
        return found

    @property
    def learner_steps(self) -> int:
        """Updates by the newest line of the metrics."""
        return self.metrics[-1].learner_steps if self.metrics else 0

    @property
    def checkpoints(self) -> list[Path]:
        """The run's checkpoints, oldest first."""
        return checkpoint_paths(self._run.path)

    def learns_since(self, since: float) -> bool:
        """Return whether two lines of the metrics since then show updates between them."""
        steps = [line.learner_steps for line in self.metrics if line.seen_at > since]
        return any(later > earlier for earlier, later in pairwise(steps))

    def acts_since(self, since: float) -> bool:
        """Return whether any actor had a chunk acknowledged since then."""
        return any(at > since for at in self.acknowledged_at.values())

    def has_printed(self, text: str, since: float) -> bool:
        """Return whether the driver has printed a line with this text since then."""
        return any(text in line for seen_at, line in reversed(self.lines) if seen_at >= since)


class _Tail:
    """The new lines of a metrics file, also where a resume has written it anew."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset, self._inode, self._wall_time_s = 0, 0, -1.0

    def new(self) -> list[dict[str, float]]:
        """Read the lines that are whole and were not returned before."""
        try:
            with self._path.open("rb") as file:
                inode = os.fstat(file.fileno()).st_ino
                if inode != self._inode:
                    self._inode, self._offset = inode, 0
                file.seek(self._offset)
                text = file.read()
        except OSError:
            return []
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        found = [values for line in whole.splitlines() if (values := _parse(line))]
        new = [values for values in found if values["wall_time_s"] > self._wall_time_s]
        self._wall_time_s = max([self._wall_time_s, *(values["wall_time_s"] for values in new)])
        return new


def _parse(line: bytes) -> dict[str, float] | None:
    try:
        values = json.loads(line)
    except ValueError:  # cut short by a kill
        return None
    return values if isinstance(values, dict) and "wall_time_s" in values else None
