"""Whether a run directory holds the run that a launch asks for, so that the launch goes on with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from stars_dist.config.merge import leaves
from stars_dist.config.run_config import RunConfig
from stars_dist.run_files.directory import RunDirectory
from stars_dist.run_files.remote_copy import RemoteCopy

# Where a run works and is shown decides nothing of what it computes, and may be another place at each start.
PLACES = frozenset({"address", "wait_for_cores_s", "replay.directory", "checkpoint.directory", "trackers"})
SHOWN_DIFFERENCES = 3


def check_same_run(there: RunConfig, wanted: RunConfig, place: object) -> None:
    """Check that the run that `place` holds is the one that is asked for, but for where it works.

    Raises:
        ValueError: names what differs, with both values.
    """
    before, now = _values(there), _values(wanted)
    differing = [key for key in dict.fromkeys((*now, *before)) if before.get(key) != now.get(key)]
    if differing:
        more = f" and {len(differing) - SHOWN_DIFFERENCES} more" * (len(differing) > SHOWN_DIFFERENCES)
        values = [
            f"{key} is {_text(before.get(key))} there and {_text(now.get(key))} here"
            for key in differing[:SHOWN_DIFFERENCES]
        ]
        raise ValueError(
            f"a run goes on with the configuration that it has, {place} holds another run ({', '.join(values)}{more}); "
            "launch it as it was, go on with it by `stars-dist resume`, or use another place"
        )


def _values(config: RunConfig) -> dict[str, Any]:
    values = {".".join(key): value for key, value in leaves(config.model_dump(mode="json"))}
    return {key: value for key, value in values.items() if key not in PLACES}


def _text(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


class Repeated(NamedTuple):
    """A run that a launch goes on with."""

    run: RunDirectory
    copy: RemoteCopy | None  # from which it is to be fetched first


def find_repeated(path: Path | None, config: RunConfig, label: str) -> Repeated | None:
    """Find the run that a launch repeats, in its directory or at its checkpoint.directory; None for a new one.

    Raises:
        ValueError: another run is there, or a place cannot be used.
    """
    copy = RemoteCopy.of(config.checkpoint.directory, path)
    there = None if copy is None else copy.read_config()
    if there is not None:
        check_same_run(there, config, copy)
    run = None if path is None else RunDirectory(path)
    if run is not None and run.config_file.is_file():
        check_same_run(run.read_config(), config, run.path)
        is_fetched = there is not None and copy is not None and copy.is_ahead_of(run)
        return Repeated(run, copy if is_fetched else None)
    return None if there is None else Repeated(RunDirectory.unused(path, config, label), copy)


def take(repeated: Repeated, log: Callable[[str], None]) -> RunDirectory:
    """Lock the run's directory and bring what it lacks into it; ValueError where that cannot be."""
    run, copy = repeated
    if run.config_file.is_file():
        run.lock()
    else:
        run.create()
    if copy is not None:
        copy.fetch(run, log)
    return run
