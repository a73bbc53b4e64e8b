"""The scene of a chaos run: one training with all that can be struck, and what was done that the audit must know."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from stars_dist.chaos.nodes import Nodes
from stars_dist.chaos.observations import Observations
from stars_dist.chaos.run_processes import RunProcesses
from stars_dist.chaos.small_disk import SmallDisk
from stars_dist.chaos.training import Training
from stars_dist.run_files.directory import RunDirectory

LEARNER_FILE = "learner.pt"

Span = tuple[float, float]  # of seconds since the epoch


@dataclass(frozen=True)
class RollBack:
    """A shard whose files were put back to how they were; in between its tasks stored what is gone."""

    task_ids: frozenset[int]
    copied_at: float
    restored_at: float


@dataclass
class Scene:
    """The processes, files and disks of one training."""

    training: Training
    run: RunDirectory
    processes: RunProcesses
    seen: Observations
    disk: SmallDisk
    nodes: Nodes
    copies: Path  # where older states of files are kept
    floors: list[tuple[float, int]] = field(default_factory=list)  # since when, updates that must not be lost
    roll_backs: list[RollBack] = field(default_factory=list)
    full_disk: list[Span] = field(default_factory=list)
    pauses: list[Span] = field(default_factory=list)
    copied_at: float | None = None  # when the files in `copies` were those of the run
    struck: set[tuple[str, int | None]] = field(
        default_factory=set
    )  # parts and numbers that have not survived yet
    torn: set[tuple[str, int]] = field(default_factory=set)  # checkpoints: name, inode of the cut file

    @property
    def whole_checkpoints(self) -> list[Path]:
        """The checkpoints that were not torn, oldest first."""
        return [path for path in self.seen.checkpoints if (path.name, _inode(path)) not in self.torn]

    @property
    def newest_steps(self) -> int:
        """Updates in the newest whole checkpoint; 0 without one."""
        return steps_of(self.whole_checkpoints[-1]) if self.whole_checkpoints else 0

    def set_floor(self) -> None:
        """Note that from now on the learner must go on from the newest whole checkpoint at least."""
        self.floors.append((time.time(), self.newest_steps))

    def tear(self, checkpoint: Path) -> None:
        """Cut a checkpoint's largest file short."""
        file = checkpoint / LEARNER_FILE
        with file.open("r+b") as stream:
            stream.truncate(file.stat().st_size // 2)
        self.torn.add((checkpoint.name, _inode(checkpoint)))

    def resume(self) -> None:
        """Go on with the run after its driver has ended."""
        self.processes.follow(self.training.resume())
        self.seen.driver_started_at = time.time()

    def goes_on_since(self, moment: float) -> bool:
        """Return whether actors and learner have both got on since then."""
        return self.seen.acts_since(moment) and self.seen.learns_since(moment)


def steps_of(checkpoint: Path) -> int:
    """Return the updates that a checkpoint holds, by its name."""
    return int(checkpoint.name.removeprefix("step-"))


def _inode(checkpoint: Path) -> int:
    try:
        return (checkpoint / LEARNER_FILE).stat().st_ino
    except OSError:
        return 0
