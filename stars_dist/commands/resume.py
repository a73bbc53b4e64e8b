"""`stars-dist resume`: go on with a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from stars_dist.errors import checking_input
from stars_dist.help_page import examples

if TYPE_CHECKING:
    from stars_dist.config.run_plan import RunPlan
    from stars_dist.run_files.directory import RunDirectory


@examples(
    "stars-dist resume runs/first",
    "stars-dist resume runs/first --steps 200000     # more steps, in all",
    "stars-dist resume runs/first --shards 4",
)
def resume(
    run: Path = typer.Argument(help="Run directory."),
    steps: str | None = typer.Option(
        None, metavar="N", help="New total of environment steps, as 200000 or 200k.  [default: as before]"
    ),
    shards: int | None = typer.Option(
        None, help="Replay shards; the replay is resharded.  [default: as before]"
    ),
    address: str | None = typer.Option(
        None, help="Ray cluster: auto, local or ADDRESS, which must be given again.  [default: as before]"
    ),
) -> None:
    """Go on with a run that was interrupted, died, or is to have more steps."""
    from stars_dist.config.run_plan import plan_resumed
    from stars_dist.run_files.directory import RunDirectory
    from stars_dist.run_files.foreign_cluster import check_address

    with checking_input():
        directory = RunDirectory.existing(run)
        before = directory.read_plan()
        total = _total(steps)
        _check_steps(directory, before, total)
        if shards is not None and shards < 1:
            raise ValueError(f"--shards must be at least 1, got {shards}; give the new number of shards")
        plan = plan_resumed(before, total, shards, address)
        if address is None and not plan.config.serial:
            check_address(plan.config.address, directory.config_file)
        directory.lock()
    from stars_dist.training import resume as resume_run

    resume_run(directory, plan)


def _total(steps: str | None) -> int | None:
    from stars_dist.config.value_types import parse_count

    if steps is None:
        return None
    total = parse_count(steps)
    if total is None:
        raise ValueError(
            f"--steps must be a whole number, got {steps}; for example --steps 200000 or --steps 200k"
        )
    return total


def _check_steps(directory: RunDirectory, plan: RunPlan, steps: int | None) -> None:
    before = plan.total_steps
    if steps is not None and steps < 1:
        raise ValueError(f"--steps must be at least 1, got {steps}; give the new total of environment steps")
    if steps is not None and steps < before:
        raise ValueError(
            f"--steps must be at least the run's {before}, got {steps}; it is the new total, not what is added"
        )
    if directory.has_finished(plan) and (steps or before) <= before:
        raise ValueError(
            f"a finished run needs more steps to go on, {directory.path} has made its {before}; "
            f"use --steps {2 * before}"
        )
