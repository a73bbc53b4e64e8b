"""The random stream of a learner across checkpoints and kinds of device."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def restore_generator(generator: torch.Generator, state: Tensor, anew: tuple[int, ...]) -> bool:
    """Restore a generator; return False where the state is of the other kind of device, and it was seeded by `anew`.

    A CPU's state is the whole of its Mersenne twister, a GPU's a seed and a position: neither can go on as the other.
    """
    state = state.cpu()
    if state.numel() == generator.get_state().numel():
        generator.set_state(state)
        return True
    generator.manual_seed(int(np.random.SeedSequence(anew).generate_state(1, np.uint64)[0] >> np.uint64(1)))
    return False
