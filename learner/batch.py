"""A sampled batch as torch tensors on the learner's device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from replay_service.types import SampledBatch, SampleInfo, TransitionBatch


class TensorBatch(NamedTuple):
    """Rows sorted by task."""

    obs: Tensor  # f32[B, O]
    action: Tensor  # f32[B, A]
    reward: Tensor  # f32[B]
    next_obs: Tensor  # f32[B, O]
    terminated: Tensor  # bool[B]
    task_id: Tensor  # i64[B]
    is_weight: Tensor  # f32[B], importance-sampling weights
    group_sizes: (
        tuple[int, ...] | Tensor
    )  # rows of each task, T numbers that sum to B: i64[T] if drawn on the device
    sampled: SampledBatch | None  # where the rows came from; priorities are returned with it
    copied: torch.cuda.Event | None = None  # recorded after the copies to a GPU
    discount: Tensor | None = None  # f32[B], of the value at next_obs; None: gamma

    def window(self, gamma: float) -> Tensor | float:
        """Return what rewards of one per step sum to in each row, f32[B], or 1 where all are of one step."""
        return 1.0 if self.discount is None else (1 - self.discount) / (1 - gamma)

    @property
    def num_rows(self) -> int:
        """B, rows of all tasks together."""
        return self.obs.shape[0]

    def wait_until_copied(self) -> None:
        """Make the current stream, not the host, wait for the copies."""
        if self.copied is None:
            return
        stream = torch.cuda.current_stream(self.obs.device)
        self.copied.wait(stream)
        for column in self:
            if isinstance(column, Tensor):
                # Its memory must not be reused before this stream is done with it.
                column.record_stream(stream)


class BatchCopier:
    """Copies batches to a device: through pinned memory and on a separate stream where that is a GPU.

    Arrays from an object store are read-only, so nothing is shared with them. Pinned blocks come from torch's
    caching host allocator, which reuses one only after the copies from it have finished.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._is_cuda = device.type == "cuda"
        self._stream = torch.cuda.Stream(device) if self._is_cuda else None

    def __call__(self, sampled: SampledBatch) -> TensorBatch:
        """Start the copies of a batch; `wait_until_copied` before it is used."""
        transitions = sampled.transitions
        with torch.cuda.stream(self._stream):  # no stream: does nothing
            columns = [self._copy(column) for column in transitions[:5]]
            task_id = self._copy(transitions.task_id.astype(np.int64))
            is_weight = self._copy(sampled.is_weight)
            group_sizes = tuple(int(size) for size in sampled.group_sizes)
            discount = None if sampled.discount is None else self._copy(sampled.discount)
            copied = self._stream.record_event() if self._stream else None
        return TensorBatch(*columns, task_id, is_weight, group_sizes, sampled, copied, discount)  # pyright: ignore[reportCallIssue]

    def _copy(self, column: NDArray) -> Tensor:
        host = torch.empty(column.shape, dtype=_TORCH_DTYPE[column.dtype.type], pin_memory=self._is_cuda)
        host.numpy()[...] = column
        return host.to(self._device, non_blocking=True)


def sampled_state(batch: SampledBatch) -> list[Any]:
    """Return a batch as plain lists of arrays."""
    state = [list(batch.transitions), batch.is_weight, batch.group_sizes, list(batch.info)]
    return state if batch.discount is None else [*state, batch.discount]


def sampled_of(state: Sequence[Any]) -> SampledBatch:
    """Make the batch of such a state."""
    transitions, is_weight, group_sizes, info, *discount = state
    return SampledBatch(TransitionBatch(*transitions), is_weight, group_sizes, SampleInfo(*info), *discount)


_TORCH_DTYPE = {np.float32: torch.float32, np.bool_: torch.bool, np.int64: torch.int64}
