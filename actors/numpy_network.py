"""The policy network in numpy: a forward of few calls that allocate and broadcast next to nothing.

Between two environment steps everything small is cold: a call of numpy costs two to three times what it does in a
loop of its own, and with a few rows such calls cost as much as the products.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from actors.composed_layers import Affine, Array

_LEAST_LENGTH = 1e-12


class Layer:
    """One linear layer for U tasks with R rows each; a single task's arrays have no dimension U.

    Its arrays are f32[U, R, out], those of the bias and of relu's zero too: numpy takes two to three times as long
    for an operand that it broadcasts. The output is memory of the layer, which the next call overwrites.
    """

    def __init__(self, affine: Affine, rows: int) -> None:
        self._weight, bias = affine
        self._bias = np.repeat(bias if len(bias) > 1 else bias[0], rows, axis=-2)
        *self.batch, self.width = self._bias.shape
        self._zero = np.zeros_like(self._bias)
        self._out = np.empty_like(self._bias)

    def __call__(self, x: Array) -> Array:
        """Map f32[U, R, in] to f32[U, R, out], or without U; in one product where the tasks share the weight."""
        out = self._out
        if self._weight.ndim == 3:
            np.matmul(x, self._weight, out=out)
        elif x.ndim == 2:
            np.dot(x, self._weight, out=out)  # half a microsecond less than matmul
        else:
            np.dot(x.reshape(-1, x.shape[-1]), self._weight, out=out.reshape(-1, out.shape[-1]))
        out += self._bias
        return out

    def relu(self, x: Array, into: Array | None = None) -> Array:
        """Apply the layer and a relu; the output is memory of the layer, or that of `into`."""
        out = self(x)
        return np.maximum(out, self._zero, out=out if into is None else into)


class NumpyNetwork:
    """The network that `PolicyWeights` describe, for U tasks with R rows each.

    Args:
        shared: the layers of the shared branch, or none.
        unique: the layers of the unique branch, or none.
        head: the output layer.
        rows: R.
    """

    def __init__(self, shared: Sequence[Affine], unique: Sequence[Affine], head: Affine, rows: int) -> None:
        self._composed = (shared, unique, head, rows)
        # The first layers of both branches as one, where they have the same form.
        self._both: Layer | None = None
        if len(shared) > 1 and len(unique) > 1 and shared[0][0].ndim == unique[0][0].ndim:
            self._both_split = shared[0][0].shape[-1]
            columns = zip(shared[0], unique[0], strict=True)
            weight, bias = (np.concatenate(pair, axis=-1) for pair in columns)
            self._both = Layer((weight, bias), rows)
            shared, unique = shared[1:], unique[1:]
        self._shared = [Layer(layer, rows) for layer in shared]
        self._unique = [Layer(layer, rows) for layer in unique]
        self._head = Layer(head, rows)
        self._num_shared = self._shared[-1].width if self._shared else 0
        batch = self._head.batch
        self._features = np.empty((*batch, head[0].shape[-2]), np.float32)
        self._least_length = np.full((*batch, 1), _LEAST_LENGTH, np.float32)

    def split_features(self) -> tuple[Array, Array]:
        """Return copies of the newest call's features, f32[U, R, F] of the shared and of the unique branch."""
        shared, unique = np.split(self._features, [self._num_shared], axis=-1)
        return shared.copy(), unique.copy()

    def __reduce__(self) -> tuple[type[NumpyNetwork], tuple[Any, ...]]:
        """Pickle without the working memory: arrays that come through Ray are read-only."""
        return NumpyNetwork, self._composed

    def __call__(self, obs: Array) -> Array:
        """Map f32[U, R, O] to f32[U, R, 2 A], or without U for a single task; the next call overwrites it."""
        shared = unique = obs
        if self._both is not None:
            both = self._both.relu(obs)
            shared, unique = both[..., : self._both_split], both[..., self._both_split :]
        if self._shared:
            for layer in self._shared[:-1]:
                shared = layer.relu(shared)
            self._shared[-1].relu(shared, into=self._features[..., : self._num_shared])
        if self._unique:
            for layer in self._unique[:-1]:
                unique = layer.relu(unique)
            raw = self._unique[-1](unique)
            length = np.vecdot(raw, raw)[..., None]
            np.sqrt(length, out=length)
            np.maximum(length, self._least_length, out=length)
            # Both branches write their features where the head reads them.
            np.divide(raw, length, out=self._features[..., self._num_shared :])
        return self._head(self._features)
