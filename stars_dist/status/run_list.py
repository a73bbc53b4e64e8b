"""All runs below a directory, newest first, with one line each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from stars_dist.status.run_status import RunStatus, State, read_status
from stars_dist.status.words import duration, percent, rate

_LEVELS = 3  # a sweep's runs lie below a directory of its own
_CONFIG = "config.yaml"
_HEADER = ("state", "success", "steps", "of", "left", "age", "method", "seed", "run")
_DISPENSABLE = ("seed", "method", "left", "age", "of", "steps")  # on a narrow terminal, the first ones first


def list_runs(directory: Path) -> list[RunStatus]:
    """Read the status of every run in or below a directory, the one that recorded last first.

    Raises:
        ValueError: the directory does not exist or is none.
    """
    if not directory.is_dir():
        raise ValueError(f"runs must be given a directory, got {directory}; give the parent of your runs")
    statuses = [read_status(path) for path in _run_directories(directory, _LEVELS)]
    return sorted(statuses, key=lambda status: status.age_s)


def _run_directories(directory: Path, levels: int) -> list[Path]:
    if (directory / _CONFIG).is_file():
        return [directory]
    if levels == 0:
        return []
    try:
        below = sorted(path for path in directory.iterdir() if path.is_dir())
    except OSError:  # one that this user may not read
        return []
    return [run for path in below for run in _run_directories(path, levels - 1)]


def runs_table(statuses: Sequence[RunStatus], columns: int | None = None) -> str:
    """Format a line per run, with the state first, for a terminal of so many columns, which may be too few for all."""
    rows = [_HEADER, *(_row(status) for status in statuses)]
    cells = {name: [row[place] for row in rows] for place, name in enumerate(_HEADER)}
    lines = _aligned(cells)
    for name in _DISPENSABLE:
        if columns is None or max(map(len, lines)) <= columns:
            break
        del cells[name]
        lines = _aligned(cells)
    hints = [f"go on with one that {words}: {command}" for words, command in _stopped(statuses)]
    return "\n".join([*lines, *hints])


def _aligned(cells: Mapping[str, Sequence[str]]) -> list[str]:
    """Write columns side by side, a line per row."""
    padded = [[f"{cell:{max(map(len, column))}}" for cell in column] for column in cells.values()]
    return ["  ".join(row).rstrip() for row in zip(*padded, strict=True)]


def _stopped(statuses: Sequence[RunStatus]) -> Iterator[tuple[str, str | None]]:
    for state, words in ((State.INTERRUPTED, "was interrupted"), (State.DIED, "died")):
        newest = next((status for status in statuses if status.state is state), None)
        if newest is not None:
            yield words, newest.resume_command


def _row(status: RunStatus) -> tuple[str, ...]:
    if status.state is State.UNREADABLE:
        return (status.state.value, "-", "-", "-", "-", duration(status.age_s), "-", "-", status.run)
    return (
        status.state.value,
        _achieved(status),
        f"{status.env_steps:,}",
        percent(status.env_steps, status.total_steps),
        duration(status.eta_s),
        duration(status.age_s),
        f"{status.suite} {status.presets}",
        str(status.seed),
        status.run,
    )


def _achieved(status: RunStatus) -> str:
    """Say the success, or the return of a suite without a flag; ~ marks one of rollouts."""
    if status.has_success_flag:
        value, evaluated = rate(status.success), status.eval_success
    else:
        value, evaluated = f"return {status.mean_return:.1f}", status.eval_return
    is_known = status.success is not None or status.mean_return is not None
    return f"{value}~" if is_known and evaluated is None else value
