"""The inputs of the networks at a batch: observations on one scale, rows where the products want them."""

from __future__ import annotations

from torch import Tensor

from learner.batch import TensorBatch
from learner.grouped_linear import GroupSizes
from learner.learner_group import LearnerGroup
from learner.networks import NetworkInput
from learner.observation_norm import ObservationNorm
from learner.row_places import RowPlaces, static_groups
from learner.update_mode import UpdateMode


class NetworkInputs:
    """Makes what actor and critics read of a batch."""

    def __init__(
        self,
        norm: ObservationNorm | None,
        normalizes_trunk: bool,
        spreads_rows: bool,
        mode: UpdateMode,
        group: LearnerGroup,
    ) -> None:
        """`spreads_rows`: every layer has a matrix for each task, so a static update computes all at the places."""
        self._norm, self._normalizes_trunk, self._group = norm, normalizes_trunk, group
        self._spreads_rows, self._rows_per_task = spreads_rows, mode.rows_per_task

    def of(self, batch: TensorBatch) -> tuple[NetworkInput, NetworkInput]:
        """Return the inputs at obs and at next_obs, after taking obs into the running statistics."""
        if self._norm is not None:
            self._norm.observe(batch.obs, self._group)
        groups = batch.group_sizes
        if self._rows_per_task is not None:
            groups = static_groups(batch.task_id, len(batch.group_sizes), self._rows_per_task)
        return self.at(batch.obs, batch, groups), self.at(batch.next_obs, batch, groups)

    def at(self, obs: Tensor, batch: TensorBatch, groups: GroupSizes | Tensor) -> NetworkInput:
        """Return the input at observations f32[B, O] of the batch's tasks."""
        assert not isinstance(groups, Tensor), "a batch whose groups the host does not know needs static ones"
        normalized = obs if self._norm is None else self._norm(obs)
        shared = normalized if self._normalizes_trunk else obs
        inputs = NetworkInput(shared, normalized, batch.task_id, groups)
        if isinstance(groups, RowPlaces) and self._spreads_rows:
            return inputs.spread(groups)
        return inputs  # a head alone goes to the places
