"""The networks of actor and critics: shared trunk, unique branch and head, for all tasks in one batch."""

# ruff: noqa: N806, N815 -- shape suffixes are capitals

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from learner.config import NetworkConfig
from learner.grouped_linear import grouped_linear
from learner.pooled_layers import compose, hidden_layer, initial_mix, layer_sizes, pooled_head, pooled_layer
from replay_service.types import TransitionSpec


class NetworkShape(NamedTuple):
    """What tells an actor's network from a critic's."""

    ensemble: int  # E, members evaluated as one batched product
    action_input: int  # components of the action that the network reads; 0 in an actor
    outputs: int
    hidden: tuple[int, ...]
    layer_norm: bool


class NetworkInput(NamedTuple):
    """A batch as networks see it: rows sorted by task, their numbers known on the host."""

    obs: Tensor  # f32[B, O]
    task_id: Tensor  # i64[B]
    rows: tuple[int, ...]  # T numbers that sum to B


class NetworkOutput(NamedTuple):
    value_EBD: Tensor
    unique_EBF: Tensor | None  # f_u, of length one; None without a unique branch


class ComposedWeights(NamedTuple):
    """Every layer's matrices for all tasks: composed once, good until the next optimizer step."""

    shared: tuple[Tensor, ...]  # f32[E, G, in + 1, out] each
    unique: tuple[Tensor, ...]
    head: Tensor
    task_vector_ETZ: Tensor | None

    def detach(self) -> ComposedWeights:
        """The same values as constants: no gradient reaches the network through them."""
        vector = None if self.task_vector_ETZ is None else self.task_vector_ETZ.detach()
        shared, unique = (tuple(w.detach() for w in branch) for branch in (self.shared, self.unique))
        return ComposedWeights(shared, unique, self.head.detach(), vector)


class FeatureNetwork(nn.Module):
    """y = Head_tau [f_s, f_u] with f_s of the (composed) shared trunk and f_u = normalize(MLP([s, z_tau])).

    A critic's trunk reads [s, a]; its unique branch reads the state alone, and the action too where there is
    no trunk. Branches that the configuration leaves out have no parameters.
    """

    def __init__(
        self, config: NetworkConfig, shape: NetworkShape, spec: TransitionSpec, generator: torch.Generator
    ) -> None:
        super().__init__()
        config.check_tasks(spec.num_tasks)
        self.config, self.shape, self.num_tasks = config, shape, spec.num_tasks
        self.mix: nn.Parameter | None = None  # w, f32[E, T, K]
        self.task_vector: nn.Parameter | None = None  # z, f32[E, T, Z]
        self.shared, self.unique = nn.ParameterList(), nn.ParameterList()
        features = 0
        if config.shared.enabled:
            features += self._build_shared(spec, generator)
        if config.unique.enabled:
            features += self._build_unique(spec, generator)
        slices = {"composed": config.num_slices(spec.num_tasks), "shared": 1, "per_task": spec.num_tasks}
        self.head = pooled_head(shape.ensemble, slices[config.head], features, shape.outputs, generator)

    def _build_shared(self, spec: TransitionSpec, generator: torch.Generator) -> int:
        shape, shared = self.shape, self.config.shared
        slices = self.config.num_slices(spec.num_tasks)
        if shared.kind == "composed":
            self.mix = nn.Parameter(initial_mix(shared, (shape.ensemble, spec.num_tasks, slices), generator))
        one_hot = spec.num_tasks if shared.task_input == "one_hot" else 0
        for sizes in layer_sizes(spec.obs_dim + shape.action_input + one_hot, shape.hidden):
            equal = shared.slice_init == "equal"
            self.shared.append(pooled_layer(shape.ensemble, slices, *sizes, generator, equal))
        return shape.hidden[-1]

    def _build_unique(self, spec: TransitionSpec, generator: torch.Generator) -> int:
        shape, unique = self.shape, self.config.unique
        vectors = torch.randn(shape.ensemble, spec.num_tasks, unique.task_dim, generator=generator)
        self.task_vector = nn.Parameter(vectors)
        action = 0 if self.config.shared.enabled else shape.action_input
        for sizes in layer_sizes(spec.obs_dim + action + unique.task_dim, (*unique.hidden, unique.dim)):
            self.unique.append(pooled_layer(shape.ensemble, 1, *sizes, generator))
        return unique.dim

    def compose(self) -> ComposedWeights:
        """Mixes the pools into the matrices of all tasks."""
        shared = tuple(compose(pool, self.mix) for pool in self.shared)
        head = compose(self.head, self.mix if self.config.head == "composed" else None)
        return ComposedWeights(shared, tuple(self.unique), head, self.task_vector)

    def forward(
        self, weights: ComposedWeights, batch: NetworkInput, action: Tensor | None = None
    ) -> NetworkOutput:
        """Evaluates all members on all rows; `action` f32[B, A] in a critic."""
        state = batch.obs if action is None else torch.cat([batch.obs, action], dim=1)
        features, unique = [], None
        if weights.shared:
            features.append(self._shared_features(weights, batch, state))
            state = batch.obs
        if weights.unique:
            unique = self._unique_features(weights, batch, state)
            features.append(unique)
        joined = features[0] if len(features) == 1 else torch.cat(features, dim=2)
        return NetworkOutput(grouped_linear(joined, weights.head, batch.rows), unique)

    def _shared_features(self, weights: ComposedWeights, batch: NetworkInput, state: Tensor) -> Tensor:
        if self.config.shared.task_input == "one_hot":
            state = torch.cat([state, F.one_hot(batch.task_id, self.num_tasks).to(state.dtype)], dim=1)
        x_EBF = state.expand(self.shape.ensemble, -1, -1)
        for weight in weights.shared:
            x_EBF = hidden_layer(x_EBF, weight, batch.rows, self.shape.layer_norm)
        return x_EBF

    def _unique_features(self, weights: ComposedWeights, batch: NetworkInput, state: Tensor) -> Tensor:
        assert weights.task_vector_ETZ is not None
        vector_EBZ = weights.task_vector_ETZ.index_select(1, batch.task_id)
        x_EBF = torch.cat([state.expand(self.shape.ensemble, -1, -1), vector_EBZ], dim=2)
        for weight in weights.unique[:-1]:
            x_EBF = hidden_layer(x_EBF, weight, batch.rows, self.shape.layer_norm)
        return F.normalize(grouped_linear(x_EBF, weights.unique[-1], batch.rows), dim=2)


def actor_network(config: NetworkConfig, spec: TransitionSpec, generator: torch.Generator) -> FeatureNetwork:
    """The policy's network: E = 1, outputs mean and log std. No LayerNorm: actors run plain numpy."""
    shape = NetworkShape(1, 0, 2 * spec.action_dim, config.actor_hidden, False)
    return FeatureNetwork(config, shape, spec, generator)


def critic_network(config: NetworkConfig, spec: TransitionSpec, generator: torch.Generator) -> FeatureNetwork:
    """The twin critics Q(s, a) as one ensemble of two."""
    shape = NetworkShape(2, spec.action_dim, 1, config.critic_hidden, config.critic_layer_norm)
    return FeatureNetwork(config, shape, spec, generator)
