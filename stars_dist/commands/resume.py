"""`stars-dist resume`: go on with a run."""

from __future__ import annotations

from pathlib import Path

import typer

from stars_dist.errors import checking_input


def resume(
    run: Path = typer.Argument(help="Run directory."),
    steps: int | None = typer.Option(None, help="New total of environment steps.  [default: as before]"),
    shards: int | None = typer.Option(
        None, help="Replay shards; the replay is dealt anew.  [default: as before]"
    ),
    address: str | None = typer.Option(
        None, help="Ray cluster: auto, local or ADDRESS.  [default: as before]"
    ),
) -> None:
    """Go on with a run that was interrupted, died, or is to have more steps."""
    from stars_dist.config.run_plan import plan_run
    from stars_dist.run_files.directory import RunDirectory

    with checking_input():
        directory = RunDirectory.existing(run)
        before = directory.read_plan()
        if steps is not None and steps < 1:
            raise ValueError(
                f"--steps must be at least 1, got {steps}; give the new total of environment steps"
            )
        if steps is not None and steps < before.total_steps:
            raise ValueError(
                f"--steps must be at least the run's {before.total_steps}, got {steps}; "
                "it is the new total, not what is added"
            )
        if directory.evaluation_file.exists() and (steps or before.total_steps) <= before.total_steps:
            raise ValueError(
                f"a finished run needs more steps to go on, {run} has made its {before.total_steps}; "
                f"use --steps {2 * before.total_steps}"
            )
        if shards is not None and shards < 1:
            raise ValueError(f"--shards must be at least 1, got {shards}; give the new number of shards")
        config = before.config
        replay = config.replay.model_copy(update={"num_shards": shards or config.replay.num_shards})
        update = {"steps": steps or config.steps, "address": address or config.address, "replay": replay}
        plan = plan_run(config.model_copy(update=update))
        directory.lock()
    from stars_dist.train import resume as resume_run

    resume_run(directory, plan)
