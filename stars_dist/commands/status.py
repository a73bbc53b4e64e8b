"""`stars-dist status`: how a run is doing."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from stars_dist.errors import checking_input
from stars_dist.help_page import examples

REFRESH_S = 2.0
_CLEAR = "\x1b[H\x1b[2J"


@examples(
    "stars-dist status runs/first",
    "stars-dist status runs/first --watch",
    "stars-dist status runs/first --json",
)
def status(
    run: Path = typer.Argument(metavar="RUN", help="Run directory; its run may be live, dead or done."),
    watch: bool = typer.Option(False, "--watch", help="Show it anew every 2 s until the run ends."),
    all_tasks: bool = typer.Option(False, "--all", help="Show all tasks, not only the worst five."),
    as_json: bool = typer.Option(
        False, "--json", help="Print JSON and nothing else; with --watch a line each."
    ),
) -> None:
    """Show how a run is doing: progress, pace, who waits for whom, worst tasks. Reads only."""
    import sys

    from stars_dist.monitor.terminal import columns_of
    from stars_dist.status.run_status import State, read_status
    from stars_dist.status.status_page import status_page

    while True:
        with checking_input():
            newest = read_status(run)
        page = status_page(newest, all_tasks, columns_of(sys.stdout))
        _show(json.dumps(newest.to_json()) if as_json else page, watch and not as_json)
        if not watch or newest.state not in (State.STARTING, State.TRAINING):
            return
        _wait()


def _show(text: str, in_place: bool) -> None:
    import sys

    from stars_dist.monitor.terminal import can_repaint

    print(f"{_CLEAR if in_place and can_repaint(sys.stdout) else ''}{text}", flush=True)


def _wait() -> None:
    import time

    time.sleep(REFRESH_S)
