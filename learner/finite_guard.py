"""The guard against non-finite losses: stops optimizers before their step, without waiting for the device."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

Stage = Literal["critic", "actor"]
STAGES: tuple[Stage, ...] = get_args(Stage)


class NonFiniteLossError(ArithmeticError):
    """A loss or a gradient was not finite; no optimizer stepped on it."""


class FiniteGuard:
    """Latches the first non-finite loss on the device.

    `tripped` is handed to the fused optimizers as their `found_inf`: while it is 1 they leave parameters and
    moments alone, so the host may read it later (on a GPU: with the priorities) and nothing is lost.
    """

    def __init__(
        self, task_names: Sequence[str], device: torch.device, reads_host: bool | None = None
    ) -> None:
        """`reads_host`: whether `check` may look at its result and raise; none: where the device is the CPU."""
        self.tripped = torch.zeros((), device=device)  # f32: 0 or 1
        self._task_names = task_names
        self._reads_host = device.type == "cpu" if reads_host is None else reads_host
        # Learner step, stage, and 0 or 1 per task.
        self._record = torch.zeros(2 + len(task_names), dtype=torch.float64, device=device)

    def guard(self, optimizer: torch.optim.Adam) -> torch.optim.Adam:
        """Make a fused optimizer skip its steps once the guard has tripped."""
        optimizer.found_inf = self.tripped  # pyright: ignore[reportAttributeAccessIssue] -- what GradScaler sets
        return optimizer

    def check(
        self, stage: Stage, learner_step: int | Tensor, task_losses: Tensor, gradient_norm: Tensor
    ) -> None:
        """Check a stage before its optimizer step; raises at once where reading costs nothing."""
        if self._reads_host and math.isfinite(task_losses.sum() + gradient_norm):
            return  # one read in the usual case: a sum is finite only if all of its terms are
        bad_task = ~task_losses.isfinite()
        bad = bad_task.any() | ~gradient_norm.isfinite()
        if self._reads_host and not bad:
            return
        record = torch.nn.functional.pad(bad_task.double(), (2, 0))
        record[0].copy_(learner_step) if isinstance(learner_step, Tensor) else record[0].fill_(learner_step)
        record[1].fill_(STAGES.index(stage))  # fills, not copies from the host
        self._record.copy_(torch.where(bad & (self.tripped == 0), record, self._record))
        self.tripped.copy_(torch.maximum(self.tripped, bad.to(torch.float32)))
        if self._reads_host:
            self.raise_if_tripped()

    def raise_if_tripped(self) -> None:
        """Raise NonFiniteLossError if a check has failed; waits for the device."""
        if not self.tripped:
            return
        step, stage, *bad_task = self._record.tolist()
        names = [name for name, bad in zip(self._task_names, bad_task, strict=True) if bad]
        what = f"loss of {', '.join(names)}" if names else "gradient"
        raise NonFiniteLossError(
            f"losses must be finite, got a non-finite {STAGES[int(stage)]} {what} at learner step "
            f"{int(step)}, and no step was made on it; resume from the last checkpoint with a "
            "lower sac.learning_rate"
        )
