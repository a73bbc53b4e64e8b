"""Where a run's replay lies that is not to lie in the run directory, whose `replay` is then a link to it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

from replay_service.room import check_room
from stars_dist.config.run_plan import RunPlan
from stars_dist.run_files.directory import RunDirectory

LONGEST_NAME = 200

Log = Callable[[str], None]


def check_replay_room(run: RunDirectory, plan: RunPlan) -> None:
    """Refuse a replay that does not fit on the disk where it will lie; nothing is made.

    Raises:
        ValueError: it does not fit, or replay.directory is none that can be written to.
    """
    elsewhere = plan.config.replay.directory
    is_new = elsewhere is not None and not _is_there(run)
    check_room(Path(elsewhere).expanduser() if is_new and elsewhere else run.replay.resolve(), plan.replay)


def take_replay_place(run: RunDirectory, plan: RunPlan, log: Log) -> None:
    """Make the directory of the replay at replay.directory, unless the run has a replay on this machine already.

    Raises:
        ValueError: replay.directory is none that can be written to.
    """
    elsewhere = plan.config.replay.directory
    if _is_there(run) or plan.config.replay.storage == "memory":
        if elsewhere is not None and not run.replay.is_symlink():
            log(f"the replay stays in {run.replay}, where it was before replay.directory was given")
        return
    if run.replay.is_symlink():
        log(f"the replay was on another machine or its disk was cleared: {run.replay.readlink()} is not here")
        run.replay.unlink()
    if elsewhere is None:
        return
    place = Path(elsewhere).expanduser().absolute() / f"{run.path.name[:LONGEST_NAME]}-{secrets.token_hex(4)}"
    try:
        place.mkdir(parents=True)
    except OSError as error:
        raise ValueError(
            f"replay.directory must be one that can be written to, got {elsewhere} ({error.strerror}); use a local "
            "disk of this node, or leave it out"
        ) from None
    run.replay.symlink_to(place, target_is_directory=True)
    log(f"the replay lies in {place}")


def _is_there(run: RunDirectory) -> bool:
    return run.replay.is_dir()  # False for a link to what is not on this machine
