"""`stars-dist bench replay`: the speed of the replay service and how it grows."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import typer

from stars_dist.commands.bad_input import reading_input


def bench_replay(
    as_json: bool = typer.Option(False, "--json", help="Print JSON and nothing else on standard output."),
    rounds: int = typer.Option(7, help="How often each part is measured; the median counts."),
    seconds: float = typer.Option(10.0, help="How long the part with Ray is measured."),
    batches_per_call: int = typer.Option(8, help="Batches that the learner of that part draws by one call."),
    write: Path | None = typer.Option(None, metavar="DIR", help="Also write replay.md and its plot there."),
) -> None:
    """Measure the replay service: beside cpprb (if installed), inserts, through Ray, growth, snapshots."""
    with reading_input():
        for name, value in (
            ("--rounds", rounds),
            ("--seconds", seconds),
            ("--batches-per-call", batches_per_call),
        ):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
    from stars_dist.bench.replay import measure, table, write_report

    def say(part: str) -> None:
        print(f"measuring {part}", file=sys.stderr)

    figures = measure(rounds, seconds, batches_per_call, say)
    print(json.dumps(figures.to_json()) if as_json else table(figures))
    if write is not None:
        options = f"--rounds {rounds} --seconds {seconds:g} --batches-per-call {batches_per_call}"
        write_report(figures, f"stars-dist bench replay {options} --write {write}", write)
