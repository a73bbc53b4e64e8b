"""A hundred losses at a fixed seed: the same mathematics keeps them.

`python -m tests.learner.test_golden` writes the file anew; say in the commit why the mathematics changed. Losses
are compared within 0.1 %: SSE4, AVX2 and AVX-512 differ by less than 2e-6 after a hundred updates, and the room
is for a relu or a minimum that flips on another processor. Those of `stars-before` must stay whatever changes: runs
that were started before the unique features and the pool changed resume with what they were started with.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from learner.config import SacConfig
from learner.sac import SacLearner
from replay_service.types import TransitionSpec
from tests.learner.conftest import ACTION_DIM, METHODS, OBS_DIM, method_config, random_batch

GOLDEN = Path(__file__).with_name("golden_losses.json")
UPDATES = 100
GROUP_SIZES = ((6, 10, 8), (8, 8, 8), (12, 3, 9))


def losses(method: str) -> list[list[float]]:
    """Critic and actor loss of every update."""
    spec, sac = TransitionSpec(3, OBS_DIM, ACTION_DIM), SacConfig(learning_rate=1e-3)
    learner = SacLearner(method_config(method), sac, spec, ["a", "b", "c"], torch.device("cpu"), seed=0)
    results = [learner.update(random_batch(GROUP_SIZES[i % 3], seed=i)) for i in range(UPDATES)]
    return [[float(r.critic.loss), float(r.actor.loss)] for r in results if r.actor is not None]


@pytest.mark.parametrize("method", METHODS)
def test_golden_losses(method: str) -> None:
    golden = np.array(json.loads(GOLDEN.read_text())[method])
    np.testing.assert_allclose(np.array(losses(method)), golden, rtol=1e-3, atol=1e-4)


if __name__ == "__main__":
    lines = [
        f'"{method}": {json.dumps([[round(x, 6) for x in pair] for pair in losses(method)])}'
        for method in METHODS
    ]
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n")
