"""How the newest start of a run ended, where that was in order: kept in provenance.json for `runs` and `status`."""

from __future__ import annotations

from contextlib import suppress

from stars_dist.run_files.directory import RunDirectory

KEY, INTERRUPTED = "ended", "interrupted"


def note_interrupted(run: RunDirectory) -> None:
    """Note that a signal ended the run and that all it had is saved.

    A full disk, or a directory that was moved, costs the note alone.
    """
    with suppress(OSError, ValueError):
        run.write_provenance(run.read_provenance() | {KEY: INTERRUPTED})


def was_interrupted(run: RunDirectory) -> bool:
    """Return whether the newest start ended so."""
    return run.read_provenance().get(KEY) == INTERRUPTED
