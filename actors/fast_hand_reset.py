"""The 250 physics steps that bring the hand to its starting place, simulated once for each start."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from actors.fast_names import NamedData

_STATE = int(mujoco.mjtState.mjSTATE_INTEGRATION)  # all that the next step depends on, the model aside
MAX_KEPT = 256  # starts; a task that moves its furniture with the goal has one a goal, the others one


class HandReset:
    """Simulates a number of steps with constant controls, or puts the simulation where they led last time.

    What is kept is the state before the last step. That step is simulated every time, so that everything
    derived from the state (positions, contacts, warm start) is what the whole simulation would have left.
    """

    def __init__(self, data: NamedData) -> None:
        self._data = data
        self._kept: dict[bytes, NDArray[np.float64]] = {}
        self._state = np.empty(mujoco.mj_stateSize(data.raw_model, _STATE))

    def simulate(self, num_steps: int) -> None:
        model, data = self._data.raw_model, self._data.raw
        mujoco.mj_getState(model, data, self._state, _STATE)
        # Of a model, a reset changes only where bodies and sites are, and sites take no part in the physics.
        start = b"".join((self._state.tobytes(), model.body_pos.tobytes(), num_steps.to_bytes(4)))
        before_last = self._kept.get(start)
        if before_last is None:
            mujoco.mj_step(model, data, num_steps - 1)
            mujoco.mj_getState(model, data, self._state, _STATE)
            if len(self._kept) >= MAX_KEPT:
                self._kept.pop(next(iter(self._kept)))
            self._kept[start] = self._state.copy()
        else:
            mujoco.mj_setState(model, data, before_last, _STATE)
        mujoco.mj_step(model, data)
