"""The networks of actor and critics: shared trunk, unique branch and head, for all tasks in one batch."""

# ruff: noqa: N815 -- shape suffixes are capitals

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from learner.branch import Groups
from learner.fused_network import FusedConstants, FusedOperands, fused_forward
from learner.grouped_linear import GroupSizes
from learner.network_config import NetworkConfig
from learner.network_layout import LayerLayout, NetworkLayout, actor_layout, critic_layout
from learner.pooled_layers import compose, initial_mix, pooled_head, pooled_layer, set_pool_grad
from learner.row_places import RowPlaces
from replay_service.types import TransitionSpec

_LEAST_LENGTH = 1e-12


class NetworkInput(NamedTuple):
    """What networks read of a batch: rows sorted by task."""

    obs: Tensor  # f32[B, O]
    unique_obs: Tensor  # f32[B, O], as the unique branch reads them
    task_id: Tensor  # i64[B]
    group_sizes: GroupSizes
    places: RowPlaces | None = (
        None  # of the rows of the batch, where all above have been spread to their places
    )

    def spread(self, places: RowPlaces) -> NetworkInput:
        """Return the input of rows at their places; the networks' output is of the batch's rows again."""
        obs, unique_obs = (column.index_select(0, places.source) for column in (self.obs, self.unique_obs))
        return NetworkInput(obs, unique_obs, places.task_id, places.group_sizes, places)


class NetworkOutput(NamedTuple):
    """What a network returns for every row of a batch."""

    value_EBD: Tensor
    unique_EBF: Tensor | None  # f_u, of length one; None without a unique branch


class ComposedWeights(NamedTuple):
    """Every layer's matrices for all tasks: composed once, valid until the next call of `compose`."""

    task_vector_ETZ: Tensor | None
    shared: tuple[Tensor, ...]  # f32[E, G, in + 1, out] each
    unique: tuple[Tensor, ...]
    head_EGIO: Tensor

    def flat(self) -> list[Tensor]:
        """Return all tensors in one list, in the order of the fields."""
        vector = [] if self.task_vector_ETZ is None else [self.task_vector_ETZ]
        return [*vector, *self.shared, *self.unique, self.head_EGIO]

    def like(self, flat: Sequence[Tensor]) -> ComposedWeights:
        """Return weights of tensors in the order of `flat`."""
        first, depth = len(flat) - len(self.shared) - len(self.unique) - 1, len(self.shared)
        vector = flat[0] if first else None
        return ComposedWeights(
            vector, tuple(flat[first : first + depth]), tuple(flat[first + depth : -1]), flat[-1]
        )

    def leaves(self) -> ComposedWeights:
        """Return the same values as leaves of autograd; without this they are constants."""

        def leaf(tensor: Tensor) -> Tensor:
            return tensor.detach().requires_grad_()

        vector = None if self.task_vector_ETZ is None else leaf(self.task_vector_ETZ)
        shared, unique = (tuple(map(leaf, branch)) for branch in (self.shared, self.unique))
        return ComposedWeights(vector, shared, unique, leaf(self.head_EGIO))


class FeatureNetwork(nn.Module):
    """y = Head_tau [f_s, f_u] with f_s of the (composed) shared trunk and f_u = normalize(MLP([s, z_tau])).

    A critic's trunk reads [s, a]; its unique branch reads the state alone, and the action too where there is
    no trunk. Branches that the configuration disables have no parameters.
    """

    def __init__(self, config: NetworkConfig, layout: NetworkLayout, generator: torch.Generator) -> None:
        super().__init__()
        config.check_tasks(layout.num_tasks)
        self.config, self.layout = config, layout
        self.mix: nn.Parameter | None = None  # w, f32[E, T, K]
        self.task_vector: nn.Parameter | None = None  # z, f32[E, T, Z]
        ensemble, tasks, shared = layout.ensemble, layout.num_tasks, config.shared
        if layout.mix_slices:
            self.mix = nn.Parameter(initial_mix(shared, (ensemble, tasks, layout.mix_slices), generator))
            self.normalize_mix()
        self.shared = nn.ParameterList(
            pooled_layer(ensemble, layer, shared.slice_init, generator) for layer in layout.shared
        )
        if layout.task_dim:
            vector = torch.randn(ensemble, tasks, layout.task_dim, generator=generator)
            self.task_vector = nn.Parameter(config.unique.task_init_std * vector)
        self.unique = nn.ParameterList(
            pooled_layer(ensemble, layer, "equal", generator) for layer in layout.unique
        )
        head_init = shared.slice_init if layout.head.pooling == "composed" else "equal"
        self.head = pooled_head(ensemble, layout.head, head_init, generator)
        # Where `compose` writes, by layer: fresh memory would cost as much again.
        self._composed: dict[str, Tensor] = {}
        self.inner_multiple = 1  # composed matrices have rows of zeros up to a multiple of it

    @property
    def pools(self) -> tuple[Tensor, ...]:
        """Every layer's slices f32[E, K, in + 1, out], in the order of `layout.layers`."""
        return (*self.shared, *self.unique, self.head)

    @torch.no_grad()
    def normalize_mix(self) -> None:
        """Bring w back to length one where the configuration holds it there; call it after every change of w."""
        if self.mix is not None and self.config.shared.mix_norm == "unit":
            self.mix.div_(torch.linalg.vector_norm(self.mix, dim=2, keepdim=True).clamp(min=_LEAST_LENGTH))

    def _mix_grad(self, grad: Tensor, mix: Tensor) -> Tensor:
        """Return the gradient that w can follow: without the part along a w whose length is held.

        Adam scales each component by itself: it would turn w by a gradient that points along it, step by step
        towards or away from components of one size.
        """
        if self.config.shared.mix_norm == "none":
            return grad
        return grad - mix * (grad * mix).sum(dim=2, keepdim=True)

    @torch.no_grad()
    def compose(self) -> ComposedWeights:
        """Mix the pools into the matrices of all tasks, as constants; overwrites what it returned before."""
        pools = zip(self.layout.layers, self.pools, strict=True)
        matrices = tuple(self._matrices(layer, pool) for layer, pool in pools)
        vector = None if self.task_vector is None else self.task_vector.detach()
        depth = len(self.shared)
        return ComposedWeights(vector, matrices[:depth], matrices[depth:-1], matrices[-1])

    def _matrices(self, layer: LayerLayout, pool: Tensor) -> Tensor:
        is_composed = self.mix is not None and layer.pooling == "composed"
        rows = pool.shape[2]
        inner = math.ceil(rows / self.inner_multiple) * self.inner_multiple
        if not is_composed and inner == rows:
            return pool.detach()
        if layer.name not in self._composed:
            groups = self.layout.num_tasks if is_composed else pool.shape[1]
            self._composed[layer.name] = pool.new_zeros(pool.shape[0], groups, inner, pool.shape[3])
        matrices = self._composed[layer.name]
        if is_composed and self.mix is not None:
            compose(pool, self.mix, matrices[:, :, :rows])
        else:
            matrices[:, :, :rows].copy_(pool)
        return matrices

    @torch.no_grad()
    def set_gradients(self, gradient: ComposedWeights) -> None:
        """Set every parameter's `grad` from the gradient of the composed weights."""
        if self.task_vector is not None:
            self.task_vector.grad = gradient.task_vector_ETZ
        matrices = (*gradient.shared, *gradient.unique, gradient.head_EGIO)
        mix_grads = []
        for layer, pool, grad in zip(self.layout.layers, self.pools, matrices, strict=True):
            own = grad[:, :, : pool.shape[2]]
            if self.mix is not None and layer.pooling == "composed":
                mix_grads.append(set_pool_grad(own, pool, self.mix))
            else:
                pool.grad = own.contiguous()
        if self.mix is not None:
            self.mix.grad = self._mix_grad(torch.stack(mix_grads).sum(0), self.mix)

    def forward(
        self, weights: ComposedWeights, batch: NetworkInput, action: Tensor | None = None
    ) -> NetworkOutput:
        """Run all members on all rows; `action` f32[B, A] in a critic."""
        groups = Groups(batch.task_id, batch.group_sizes)
        one_hot = self._one_hot(batch.obs) if self.layout.one_hot else None
        constants = FusedConstants(batch.obs, batch.unique_obs, groups, one_hot, self.layout.layer_norm)
        if batch.places is None:
            return NetworkOutput(*fused_forward(constants, FusedOperands(action, *weights)))
        if action is not None:
            action = action.index_select(0, batch.places.source)
        value, unique = fused_forward(constants, FusedOperands(action, *weights))
        collect = batch.places.collect
        return NetworkOutput(collect(value), None if unique is None else collect(unique))

    def _one_hot(self, like: Tensor) -> Tensor:
        return torch.eye(self.layout.num_tasks, device=like.device).expand(self.layout.ensemble, -1, -1)


def actor_network(config: NetworkConfig, spec: TransitionSpec, generator: torch.Generator) -> FeatureNetwork:
    """Build the policy's network."""
    return FeatureNetwork(config, actor_layout(config, spec), generator)


def critic_network(config: NetworkConfig, spec: TransitionSpec, generator: torch.Generator) -> FeatureNetwork:
    """Build the twin critics."""
    return FeatureNetwork(config, critic_layout(config, spec), generator)
