"""A policy as TorchScript: `model(obs)` or `model(obs, task_id)`, for C++ and for Python without this project."""

from __future__ import annotations

import io
import json
import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from stars_dist.export.exported_policy import Act, ExportedPolicy
from stars_dist.export.network import LEAST_LENGTH, Params, flat_slices, forward

DESCRIPTION = "policy.json"  # the name of the description among the extra files of torch.jit.load


def torchscript_bytes(policy: ExportedPolicy) -> bytes:
    """Trace the policy and serialise it."""
    module = _Policy(policy.weights.params).eval()
    rows = 2
    inputs: tuple[torch.Tensor, ...] = (torch.zeros(rows, policy.metadata.obs_dim),)
    if policy.has_task_input:
        inputs = (*inputs, torch.zeros(rows, dtype=torch.int64))
    file = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore", DeprecationWarning)  # of TorchScript, in favour of torch.export
        traced: Any = torch.jit.trace(module, inputs)
        torch.jit.save(traced, file, _extra_files={DESCRIPTION: json.dumps(policy.description())})
    return file.getvalue()


def torchscript_act(content: bytes, has_task_input: bool) -> Act:
    """Load a model as its users do."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        model = torch.jit.load(io.BytesIO(content))

    def act(obs: NDArray[np.float32], task_id: NDArray[np.int64]) -> NDArray[np.float32]:
        inputs = (torch.from_numpy(obs), torch.from_numpy(task_id))
        with torch.no_grad():
            return model(*inputs[: 2 if has_task_input else 1]).numpy()

    return act


class _Policy(torch.nn.Module):
    """The network with its weights as buffers."""

    def __init__(self, params: Params) -> None:
        super().__init__()
        self._params = params
        for key, value in params.items():
            laid = flat_slices(value) if key.endswith("/weight") else value
            self.register_buffer(_buffer(key), torch.from_numpy(np.array(laid)))

    def forward(self, obs: torch.Tensor, task_id: torch.Tensor | None = None) -> torch.Tensor:
        """Compute actions f32[N, A] for observations f32[N, O] of tasks i64[N]."""
        return forward(self._params, obs, _Operations(self, self._params, task_id))


class _Operations:
    """The operations of torch on the buffers of a policy."""

    def __init__(self, policy: _Policy, params: Params, task_id: torch.Tensor | None) -> None:
        self._policy, self._params, self._task_id = policy, params, task_id

    def with_task_vector(self, x: torch.Tensor, key: str) -> torch.Tensor:
        return self.concatenate([x, self._of_tasks(key)])

    def linear(self, x: torch.Tensor, layer: str, mix: str) -> torch.Tensor:
        weight, bias = self._value(f"{layer}/weight"), self._value(f"{layer}/bias")
        _, width, out = self._params[f"{layer}/weight"].shape
        if self._task_id is None:
            return x @ weight.reshape(width, out) + bias[0]
        mixes = self._of_tasks(mix)
        composed = (mixes @ weight).reshape(-1, width, out)
        return (x[:, None] @ composed)[:, 0] + mixes @ bias

    def relu(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x)

    def unit_length(self, x: torch.Tensor) -> torch.Tensor:
        return x / x.norm(dim=-1, keepdim=True).clamp_min(LEAST_LENGTH)

    def concatenate(self, parts: list[torch.Tensor]) -> torch.Tensor:
        return torch.cat(parts, -1)

    def mode_action(self, out: torch.Tensor) -> torch.Tensor:
        return torch.tanh(out[:, : out.shape[-1] // 2])

    def _of_tasks(self, key: str) -> torch.Tensor:
        assert self._task_id is not None, "the network of one task is composed"
        return self._value(key)[self._task_id]

    def _value(self, key: str) -> torch.Tensor:
        return getattr(self._policy, _buffer(key))


def _buffer(key: str) -> str:
    return key.replace("/", "_")
