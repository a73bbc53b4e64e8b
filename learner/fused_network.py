"""A network's forward and backward pass as a single operation of autograd: both branches and the head."""

# ruff: noqa: N806, N815 -- shape suffixes are capitals

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from learner import branch
from learner.branch import BranchGradients, BranchInput, Groups, LayerTape
from learner.grouped_linear import input_grad, product, weight_grad

_NO_GRADIENTS = BranchGradients([], None, None)


class FusedConstants(NamedTuple):
    """What the operation is not differentiated by."""

    obs: Tensor  # f32[B, O]
    unique_obs: Tensor  # f32[B, O], as the unique branch reads them
    groups: Groups
    shared_task_ETZ: Tensor | None  # what the trunk reads of a task: its one-hot vector
    layer_norm: bool


class FusedOperands(NamedTuple):
    """What the operation can be differentiated by."""

    action: Tensor | None  # f32[B, A], read after obs by the trunk, without a trunk by the unique branch
    unique_task_ETZ: Tensor | None  # z, what the unique branch reads of a task
    shared: tuple[Tensor, ...]  # f32[E, G, in + 1, out] each; empty without the branch
    unique: tuple[Tensor, ...]
    head_EGIO: Tensor


def fused_forward(constants: FusedConstants, operands: FusedOperands) -> tuple[Tensor, Tensor | None]:
    """Return the head's output f32[E, B, D], and the unique features f32[E, B, F] of length one if any."""
    flat = (*operands[:2], *operands.shared, *operands.unique, operands.head_EGIO)
    depth = len(operands.shared)
    return _FusedNetwork.apply(constants, depth, *flat)  # pyright: ignore[reportReturnType] -- apply is untyped


class _FusedNetwork(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, constants: FusedConstants, depth: int, *flat: Any) -> tuple[Tensor, Tensor | None]:
        ctx.set_materialize_grads(False)
        operands = FusedOperands(flat[0], flat[1], flat[2 : 2 + depth], flat[2 + depth : -1], flat[-1])
        ctx.tape = _Tape(constants, operands)
        return ctx.tape.outputs()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride] -- the base has no such signature
        tape, needs_action, needs_weights = ctx.tape, ctx.needs_input_grad[2], ctx.needs_input_grad[-1]
        return (None, None, *tape.backward(*grads, needs_action, needs_weights))


class _Tape:
    """The forward pass, and what of it the backward pass needs."""

    def __init__(self, constants: FusedConstants, operands: FusedOperands) -> None:
        obs, unique_obs, groups, shared_task, layer_norm = constants
        head = operands.head_EGIO
        self._operands, self._group_sizes, self._obs_dim = operands, groups.group_sizes, obs.shape[1]
        self._shared_width = operands.shared[-1].shape[3] if operands.shared else 0
        self._width = self._shared_width + (operands.unique[-1].shape[3] if operands.unique else 0)
        like = obs.expand(head.shape[0], -1, -1)
        self._features_EBI = branch.with_room(like, head.shape[2], self._width)  # f_s, f_u, 1
        self._shared: list[LayerTape] = []
        self._unique: list[LayerTape] = []
        unique_action = None if operands.shared else operands.action
        self._shared_input = BranchInput(_state(obs, operands.action), shared_task, groups)
        unique_state = _state(unique_obs, unique_action)
        self._unique_input = BranchInput(unique_state, operands.unique_task_ETZ, groups)
        if operands.shared:
            out = self._features_EBI[..., : self._shared_width]
            self._shared = branch.forward(self._shared_input, operands.shared, out, layer_norm, False)
        if operands.unique:
            out = self._features_EBI[..., self._shared_width : self._width]
            self._unique = branch.forward(self._unique_input, operands.unique, out, layer_norm, True)

    def outputs(self) -> tuple[Tensor, Tensor | None]:
        """Make the outputs, which are not kept: they hold the tape, and a cycle through autograd is never freed."""
        unique = (
            self._features_EBI[..., self._shared_width : self._width].contiguous() if self._unique else None
        )
        return product(self._features_EBI, self._operands.head_EGIO, self._group_sizes), unique

    def backward(
        self, grad_value: Tensor | None, grad_unique: Tensor | None, needs_action: bool, needs_weights: bool
    ) -> tuple[Tensor | None, ...]:
        """Return gradients in the order of the flattened operands."""
        if grad_value is None:
            features = self._features_EBI
            grad_value = features.new_zeros(*features.shape[:2], self._operands.head_EGIO.shape[3])
        head, action = self._operands.head_EGIO, self._operands.action
        columns = (
            slice(self._obs_dim, self._obs_dim + action.shape[1])
            if action is not None and needs_action
            else None
        )
        shared = unique = _NO_GRADIENTS
        grad_EBF = input_grad(grad_value, head[:, :, : self._width], self._group_sizes)
        if self._shared:
            grad = grad_EBF[..., : self._shared_width]
            shared = branch.backward(grad, self._shared, self._shared_input, needs_weights, columns)
            columns = None  # a unique branch beside a trunk reads no action
        if self._unique and (needs_weights or columns is not None):
            grad = grad_EBF[..., self._shared_width :]
            grad = grad if grad_unique is None else grad + grad_unique
            unique = branch.backward(grad, self._unique, self._unique_input, needs_weights, columns)
        grad_action = shared.state_EBS if unique.state_EBS is None else unique.state_EBS
        grad_action = None if grad_action is None else grad_action.sum(0)
        if not needs_weights:
            return grad_action, *[None] * (2 + len(self._shared) + len(self._unique))
        grad_head = torch.empty_like(head)
        weight_grad(self._features_EBI, grad_value, grad_head, self._group_sizes)
        return grad_action, unique.task_ETZ, *shared.weights, *unique.weights, grad_head


def _state(obs: Tensor, action: Tensor | None) -> Tensor:
    return obs if action is None else torch.cat([obs, action], dim=1)
