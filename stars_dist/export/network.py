"""The forward of a policy in the terms of any tensor library: which layers there are, and what is between them.

`PolicyWeights` describe the network; both exporters walk it by `forward`, each with its own operations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

LEAST_LENGTH = 1e-12
BRANCHES = ("shared", "unique")

Params = Mapping[str, NDArray[np.float32]]


class Operations(Protocol):
    """What a tensor library can do; a tensor is whatever it takes and gives."""

    def with_task_vector(self, x: Any, key: str) -> Any:
        """Append the rows of `key` f32[T, Z] that belong to the tasks."""
        ...

    def linear(self, x: Any, layer: str, mix: str) -> Any:
        """Apply the slices `<layer>/weight`, mixed per row by its task's `mix`."""
        ...

    def relu(self, x: Any) -> Any:
        """Clip at zero."""
        ...

    def unit_length(self, x: Any) -> Any:
        """Divide each row by its length."""
        ...

    def concatenate(self, parts: list[Any]) -> Any:
        """Join along the last dimension."""
        ...

    def mode_action(self, out: Any) -> Any:
        """Apply tanh to the first half of the columns."""
        ...


def forward(params: Params, obs: Any, operations: Operations) -> Any:
    """Compute the mode action of a policy."""
    features = [_branch(params, branch, obs, operations) for branch in BRANCHES if f"{branch}/mix" in params]
    head = operations.linear(operations.concatenate(features), "head", "head/mix")
    return operations.mode_action(head)


def _branch(params: Params, branch: str, obs: Any, operations: Operations) -> Any:
    depth = sum(key.startswith(f"{branch}/") and key.endswith("/weight") for key in params)
    vectors = f"{branch}/task_vector"
    x = operations.with_task_vector(obs, vectors) if vectors in params else obs
    for i in range(depth):
        x = operations.linear(x, f"{branch}/{i}", f"{branch}/mix")
        is_last_of_unique = branch == "unique" and i == depth - 1
        x = operations.unit_length(x) if is_last_of_unique else operations.relu(x)
    return x


def flat_slices(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Lay each of the slices f32[K, in, out] in a row, f32[K, in * out], so that one product mixes them.

    Slices are mixed before they are applied, as actors do: to mix their outputs rounds otherwise.
    """
    return np.ascontiguousarray(weight.reshape(len(weight), -1))
