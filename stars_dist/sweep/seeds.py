"""`stars-dist launch --seeds`: the same run with several seeds, one after the other."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import typer

from stars_dist.sweep.trial import Trial, run_trial

INTERRUPTED = 130


def parse_seeds(text: str) -> list[int]:
    """Read `1,2,3` or `1-5`; ValueError for anything else."""
    try:
        seeds = [seed for part in text.split(",") for seed in _range(part)]
    except ValueError:
        raise ValueError(
            f"--seeds must be numbers with commas or a range, got {text!r}; use 1,2,3 or 1-3"
        ) from None
    twice = sorted({seed for seed in seeds if seeds.count(seed) > 1})
    if twice:
        raise ValueError(f"--seeds must name each seed once, got {twice[0]} twice; remove the second")
    return seeds


def _range(part: str) -> range:
    first, dash, last = part.strip().partition("-")
    numbers = range(int(first), int(last if dash else first) + 1)
    if not numbers:
        raise ValueError
    return numbers


def seed_trials(directory: Path, seeds: Sequence[int], arguments: Sequence[str]) -> list[Trial]:
    """Make the trial of each seed, in DIR/seed-N."""
    return [Trial(f"seed {seed}", directory / f"seed-{seed}", seed, tuple(arguments)) for seed in seeds]


def run_in_turn(trials: Sequence[Trial]) -> None:
    """Run the trials one after the other, past failures; print the command of a report over those that are done.

    Raises:
        typer.Exit: with 130 after an interruption, with 1 where a trial failed.
    """
    failed = []
    for number, trial in enumerate(trials, start=1):
        print(f"\n{trial.name}, {number} of {len(trials)}: {trial.run_dir}", flush=True)
        code = run_trial(trial)
        if code == INTERRUPTED:
            print("interrupted; go on by the same command")
            raise typer.Exit(INTERRUPTED)
        failed += [trial.name] if code else []
    done = [str(trial.run_dir) for trial in trials if trial.is_done]
    if done:
        print(f"\nreport:    {shlex.join(['stars-dist', 'report', *done])}")
    if failed:
        print(f"failed: {', '.join(failed)}")
        raise typer.Exit(1)
