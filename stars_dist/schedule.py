"""When evaluations, checkpoints and snapshots of a run are due, for both modes."""

from __future__ import annotations

from stars_dist.config.run_plan import RunPlan


class StepPeriod:
    """Due once for every multiple of a period of environment steps that is passed."""

    def __init__(self, period_steps: int, env_steps: int, last_at: int | None = None) -> None:
        """Begin at `env_steps`; beyond `last_at` nothing is due."""
        self._period_steps, self._last_at = period_steps, last_at
        self.due_at = self._after(env_steps)

    def is_due(self, env_steps: int) -> bool:
        """Return whether a multiple was passed since the last time that this was true."""
        if env_steps < self.due_at or (self._last_at is not None and env_steps > self._last_at):
            return False
        self.due_at = self._after(env_steps)
        return True

    def _after(self, env_steps: int) -> int:
        return (env_steps // self._period_steps + 1) * self._period_steps


def evaluation_period(plan: RunPlan, env_steps: int) -> StepPeriod:
    """Schedule the evaluations during the run; the evaluation at its end covers the last half period."""
    period = plan.evaluation_every_steps
    return StepPeriod(period, env_steps, last_at=plan.total_steps - (period + 1) // 2)


def snapshot_period(plan: RunPlan, env_steps: int) -> StepPeriod | None:
    """Schedule the snapshots of the replay; None: there are none."""
    period = plan.config.replay.snapshot_every_env_steps
    return None if period is None else StepPeriod(period, env_steps)


def checkpoint_period_updates(plan: RunPlan) -> int | None:
    """Count the updates after which the learner, which counts those, is to write a checkpoint; None: by time."""
    period_steps = plan.config.checkpoint.every_env_steps
    return None if period_steps is None else max(1, round(plan.replay.updates_in(period_steps)))
