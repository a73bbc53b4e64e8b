"""A run on Weights & Biases, or in its offline files within the run directory (WANDB_MODE=offline)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from stars_dist.config.run_config import RunConfig
from stars_dist.run_files.directory import RunDirectory

PROJECT = "stars-dist"  # unless WANDB_PROJECT names another
STEP = "env_steps"


class WandbTracker:
    """Logs against environment steps."""

    def __init__(self, run: RunDirectory, config: RunConfig, run_id: str | None) -> None:
        import wandb

        quiet = wandb.Settings(console="off", silent=True)  # the console is the run's own
        self._run: Any = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=run.path.name,
            id=run_id,
            resume="allow",
            dir=str(run.path),
            config=config.model_dump(mode="json"),
            settings=quiet,
        )
        self.run_id = str(self._run.id)
        self._run.define_metric(STEP)
        self._run.define_metric("*", step_metric=STEP)

    def log(self, env_steps: int, wall_time_s: float, values: Mapping[str, float]) -> None:
        """Log values."""
        self._run.log({STEP: env_steps, "wall_time_s": wall_time_s, **values})

    def close(self) -> None:
        """Send the rest and end the run."""
        self._run.finish()
