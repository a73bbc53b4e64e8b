"""The group of learners that make every update together, each from its share of the batch."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import TCPStore  # pyright: ignore[reportPrivateImportUsage] -- public, not in __all__
from torch.distributed.distributed_c10d import Store

JOIN_S = 600.0  # for all learners to be there; and for one to wait in an update for the others


class LearnerGroup:
    """Sums, extremes and rows over the learners of a run; of one that is alone nothing is exchanged.

    Row j of a batch, whose rows are sorted by task, is in the share of learner j % size, so that a share is sorted by
    task too and has as many rows of each task as any other, but for one. All learners draw the same random numbers,
    those of the whole batch, and use those of their rows: together they compute what one would from the whole batch.
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank, self.size = rank, size

    @property
    def is_alone(self) -> bool:
        """Whether it is of one learner."""
        return self.size == 1

    def sum_(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over the learners, in one exchange; all of one type."""
        if self.is_alone:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(flat)
        parts = flat.split([tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def max_(self, tensor: Tensor) -> None:
        """Replace a tensor by its greatest values over the learners."""
        if not self.is_alone:
            dist.all_reduce(tensor, dist.ReduceOp.MAX)

    def own_rows(self, whole: Tensor) -> Tensor:
        """Return the rows of this learner of those of the whole batch."""
        return whole[self.rank :: self.size]

    @torch.no_grad()
    def all_rows(self, own: Tensor, dim: int = 0) -> Tensor:
        """Return the rows of the whole batch, as constants, from those of each learner."""
        if self.is_alone:
            return own
        shares = [torch.empty_like(own, memory_format=torch.contiguous_format) for _ in range(self.size)]
        dist.all_gather(shares, own.contiguous())
        return torch.stack(shares, dim=dim + 1).flatten(dim, dim + 1)

    def whole_rows(self, own_EBF: Tensor) -> Tensor:  # noqa: N803 -- shape suffix
        """Return rows [E, B, F] of the whole batch: those of this learner as they are, the others as constants.

        The gradients of a loss of all rows by those of each learner add up to that of the whole.
        """
        if self.is_alone:
            return own_EBF
        places = torch.arange(self.rank, own_EBF.shape[1] * self.size, self.size, device=own_EBF.device)
        return self.all_rows(own_EBF.detach(), dim=1).index_copy(1, places, own_EBF)

    def mean_one(self, weight: Tensor) -> Tensor:
        """Return importance weights f32[B] over their mean in the whole batch; as they are if the learner is alone."""
        if self.is_alone:
            return weight
        total = weight.double().sum()
        self.sum_([total])
        return (weight * (len(weight) * self.size / total)).float()


ALONE = LearnerGroup()


def open_store(host: str) -> TCPStore:
    """Open the place where the learners of a run meet; its port is chosen by the system."""
    return TCPStore(host, 0, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=JOIN_S))


def find_store(host: str, port: int) -> TCPStore:
    """Return a connection to it; every thread needs one of its own."""
    return TCPStore(host, port, is_master=False, timeout=timedelta(seconds=JOIN_S))


def join_group(store: Store, rank: int, size: int, device: torch.device) -> LearnerGroup:
    """Join the run's group; return once all learners have."""
    backend = "nccl" if device.type == "cuda" else "gloo"
    timeout = timedelta(seconds=JOIN_S)
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=timeout)
    return LearnerGroup(rank, size)


def leave_group() -> None:
    """Leave the group, so that the others find out at once."""
    if dist.is_initialized():
        dist.destroy_process_group()
