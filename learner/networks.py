"""The networks of actor and critics: shared trunk, unique branch and head, for all tasks in one batch."""

# ruff: noqa: N815 -- shape suffixes are capitals

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from learner.branch import Groups
from learner.config import NetworkConfig
from learner.fused_network import Operands, Setting, evaluate
from learner.pooled_layers import compose, initial_mix, layer_sizes, pooled_head, pooled_layer, set_pool_grad
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
    """Every layer's matrices for all tasks: composed once, good until the next call of `compose`."""

    task_vector_ETZ: Tensor | None
    shared: tuple[Tensor, ...]  # f32[E, G, in + 1, out] each
    unique: tuple[Tensor, ...]
    head_EGIO: Tensor

    def flat(self) -> list[Tensor]:
        vector = [] if self.task_vector_ETZ is None else [self.task_vector_ETZ]
        return [*vector, *self.shared, *self.unique, self.head_EGIO]

    def like(self, flat: Sequence[Tensor]) -> ComposedWeights:
        """Tensors in the order of `flat` in their places."""
        first, depth = len(flat) - len(self.shared) - len(self.unique) - 1, len(self.shared)
        vector = flat[0] if first else None
        return ComposedWeights(
            vector, tuple(flat[first : first + depth]), tuple(flat[first + depth : -1]), flat[-1]
        )

    def leaves(self) -> ComposedWeights:
        """The same values for a gradient to be asked for; without this they are constants."""

        def leaf(tensor: Tensor) -> Tensor:
            return tensor.detach().requires_grad_()

        vector = None if self.task_vector_ETZ is None else leaf(self.task_vector_ETZ)
        shared, unique = (tuple(map(leaf, branch)) for branch in (self.shared, self.unique))
        return ComposedWeights(vector, shared, unique, leaf(self.head_EGIO))


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
        self._composed: tuple[
            Tensor, ...
        ] = ()  # where `compose` writes: fresh memory would cost as much again

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

    @torch.no_grad()
    def compose(self) -> ComposedWeights:
        """Mixes the pools into the matrices of all tasks, as constants; overwrites what it returned before."""
        pools = self._pools
        matrices = (
            tuple(pool.detach() for pool in pools) if self.mix is None else self._mixed(pools, self.mix)
        )
        head = matrices[-1] if self.config.head == "composed" else self.head.detach()
        vector = None if self.task_vector is None else self.task_vector.detach()
        unique = tuple(pool.detach() for pool in self.unique)
        return ComposedWeights(vector, matrices[: len(self.shared)], unique, head)

    @property
    def _pools(self) -> tuple[Tensor, ...]:
        """What w mixes, where there is a w."""
        return (*self.shared, self.head) if self.config.head == "composed" else tuple(self.shared)

    def _mixed(self, pools: tuple[Tensor, ...], mix: Tensor) -> tuple[Tensor, ...]:
        if not self._composed:
            tasks = self.num_tasks
            self._composed = tuple(p.new_empty(p.shape[0], tasks, *p.shape[2:]) for p in pools)
        for pool, out in zip(pools, self._composed, strict=True):
            compose(pool, mix, out)
        return self._composed

    @torch.no_grad()
    def set_gradients(self, gradient: ComposedWeights) -> None:
        """Every parameter's `grad` from the gradient of the composed weights."""
        if self.task_vector is not None:
            self.task_vector.grad = gradient.task_vector_ETZ
        for pool, grad in zip(self.unique, gradient.unique, strict=True):
            pool.grad = grad
        if self.config.head != "composed":
            self.head.grad = gradient.head_EGIO
        matrices = (*gradient.shared, gradient.head_EGIO)[: len(self._pools)]
        if self.mix is None:
            for pool, grad in zip(self._pools, matrices, strict=True):
                pool.grad = grad
            return
        mix = self.mix
        mix_grads = [set_pool_grad(g, pool, mix) for g, pool in zip(matrices, self._pools, strict=True)]
        mix.grad = torch.stack(mix_grads).sum(0)

    def forward(
        self, weights: ComposedWeights, batch: NetworkInput, action: Tensor | None = None
    ) -> NetworkOutput:
        """Evaluates all members on all rows; `action` f32[B, A] in a critic."""
        groups = Groups(batch.task_id, batch.rows)
        one_hot = self._one_hot(batch.obs) if self.config.shared.task_input == "one_hot" else None
        setting = Setting(batch.obs, groups, one_hot, self.shape.layer_norm)
        return NetworkOutput(*evaluate(setting, Operands(action, *weights)))

    def _one_hot(self, like: Tensor) -> Tensor:
        return torch.eye(self.num_tasks, device=like.device).expand(self.shape.ensemble, -1, -1)


def actor_network(config: NetworkConfig, spec: TransitionSpec, generator: torch.Generator) -> FeatureNetwork:
    """The policy's network: E = 1, outputs mean and log std. No LayerNorm: actors run plain numpy."""
    shape = NetworkShape(1, 0, 2 * spec.action_dim, config.actor_hidden, False)
    return FeatureNetwork(config, shape, spec, generator)


def critic_network(config: NetworkConfig, spec: TransitionSpec, generator: torch.Generator) -> FeatureNetwork:
    """The twin critics Q(s, a) as one ensemble of two."""
    shape = NetworkShape(
        2, spec.action_dim, 1, config.critic_layers(spec.num_tasks), config.critic_layer_norm
    )
    return FeatureNetwork(config, shape, spec, generator)
