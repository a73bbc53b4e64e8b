"""The program of an update: run as it is, or captured once as a CUDA graph and replayed with one launch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from learner.batch import TensorBatch
from learner.diagnostics import UpdateResult
from learner.sac import SacLearner

WARM_UP_CALLS = 3  # run as they are: libraries choose their kernels, buffers and moments come into being


class GraphCaptureError(ValueError):
    """An update could not be captured as a graph."""


class UpdateProgram:
    """Runs an update of a learner in static mode. Every call is an update, the warm-up's too.

    With a graph there is one for each kind of update (with a step of the actor, or without). What a call returns lies
    in the graph's memory and is overwritten by the next one.
    """

    def __init__(
        self,
        learner: SacLearner,
        update: Callable[[], UpdateResult],
        generators: Sequence[torch.Generator],
        uses_graph: bool,
    ) -> None:
        """Take an update, and the `generators` that it draws from."""
        assert learner.mode.is_static, "only a static update can be replayed"
        self._learner, self._update, self._generators = learner, update, generators
        self._stream = torch.cuda.Stream(learner.device) if uses_graph else None
        self._calls: dict[bool, int] = {}
        self._graphs: dict[bool, tuple[torch.cuda.CUDAGraph, UpdateResult]] = {}

    def __call__(self) -> UpdateResult:
        """Make one update."""
        if self._stream is None:
            return self._update()
        kind = self._learner.moves_actor
        self._calls[kind] = self._calls.get(kind, 0) + 1
        if self._calls[kind] <= WARM_UP_CALLS:
            return self._warm_up(self._stream)
        if kind in self._graphs:
            self._learner.count_update()
        else:
            self._graphs[kind] = self._captured(self._stream)
        graph, result = self._graphs[kind]
        graph.replay()
        # Of an update without the actor: the one before.
        return result._replace(actor=self._learner.actor_diagnostics)

    def _warm_up(self, stream: torch.cuda.Stream) -> UpdateResult:
        current = torch.cuda.current_stream(self._learner.device)
        stream.wait_stream(current)
        with torch.cuda.stream(stream):
            result = self._update()
        current.wait_stream(stream)
        return result

    def _captured(self, stream: torch.cuda.Stream) -> tuple[torch.cuda.CUDAGraph, UpdateResult]:
        """Capture one update, which is counted but not made until the graph is replayed."""
        graph = torch.cuda.CUDAGraph()
        for generator in self._generators:
            graph.register_generator_state(generator)
        try:
            # thread_local: other threads copy batches and weights meanwhile
            with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
                result = self._update()
        except RuntimeError as error:
            raise GraphCaptureError(
                f"an update must be capturable as a CUDA graph, got {str(error).splitlines()[0]}; use --set "
                "learner.cuda_graph=off"
            ) from error
        return graph, result


class BatchUpdate:
    """An update from a batch that was drawn by the shards: eager, or by a program that reads one place in memory."""

    def __init__(self, learner: SacLearner, total_updates: int, uses_graph: bool) -> None:
        self._learner, self._total_updates = learner, total_updates
        self._place: TensorBatch | None = None
        self._sizes_on_host: tuple[int, ...] = ()
        self._sizes = torch.zeros(0)
        self._program = (
            UpdateProgram(learner, self._update_in_place, [learner.generator], uses_graph)
            if learner.mode.is_static
            else None
        )

    def __call__(self, batch: TensorBatch) -> UpdateResult:
        """Make one update, with the step sizes that are due; its priorities stay as they are after later updates."""
        batch.wait_until_copied()
        learner = self._learner
        if self._program is None:
            learner.anneal(learner.learner_steps / self._total_updates)
            return learner.update(batch)
        self._bring(batch)
        result = self._program()
        return result._replace(priorities=result.priorities.clone())

    def _bring(self, batch: TensorBatch) -> None:
        """Copy a batch to where the program reads it."""
        sizes = batch.group_sizes
        if not isinstance(sizes, Tensor):
            sizes = self._sizes_on_device(sizes)
        batch = batch._replace(group_sizes=sizes, sampled=None, copied=None)
        if self._place is None:
            copies = (column.clone() if isinstance(column, Tensor) else None for column in batch)
            self._place = TensorBatch(*copies)  # pyright: ignore[reportArgumentType] -- columns are tensors
            return
        for place, column in zip(self._place, batch, strict=True):
            if isinstance(place, Tensor) and isinstance(column, Tensor):
                place.copy_(column)

    def _sizes_on_device(self, sizes: tuple[int, ...]) -> Tensor:
        """Copy quotas where they have changed: it waits for the device, and only an episode's end changes them."""
        if sizes != self._sizes_on_host:
            check_quota(sizes, self._learner)
            self._sizes_on_host, self._sizes = sizes, torch.tensor(sizes, device=self._learner.device)
        return self._sizes

    def _update_in_place(self) -> UpdateResult:
        assert self._place is not None, "a batch is brought first"
        self._learner.anneal(self._learner.progress(self._total_updates))
        return self._learner.update(self._place)


def check_quota(sizes: Sequence[int], learner: SacLearner) -> None:
    """Raise ValueError for a task with more rows than a static update has places for."""
    places = learner.mode.rows_per_task
    if places is not None and max(sizes) > places:
        raise ValueError(
            f"a task must have at most {places} rows in a batch of static shape, got {max(sizes)}; use --set "
            "learner.static_shapes=off"
        )
