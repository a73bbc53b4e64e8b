"""The physics of a fast environment: MuJoCo's steps, without computing twice what gives the same again."""

from __future__ import annotations

from typing import Any

import mujoco as untyped_mujoco
import numpy as np
from numpy.typing import NDArray

mujoco: Any = untyped_mujoco  # defined in C, of which pyright knows nothing

_STATE = int(mujoco.mjtState.mjSTATE_INTEGRATION)  # all that the next step depends on, the model aside
MAX_KEPT_STARTS = 256  # a task that moves its furniture with the goal has one start per goal, the others one


class Physics:
    """Steps one `MjData` as Meta-World does and leaves it in the same state, bit for bit.

    It relies on what all of Meta-World's models have in common: one mocap body, which nothing touches and
    which pulls the hand by a weld, Euler integration, no sensors, no tendons.
    """

    def __init__(self, model: Any, data: Any) -> None:
        self.model, self.data = model, data
        self.paused = False  # while true, nothing is simulated
        self.version = 0  # counts what has changed positions
        (mocap_body,) = np.flatnonzero(model.body_mocapid >= 0)
        self._mocap_pos, self._mocap_xpos = data.mocap_pos[0], data.xpos[mocap_body]
        self._qpos, self._qvel, self._mocap_quat = data.qpos, data.qvel, data.mocap_quat
        self._evaluated: bytes | None = None  # what control_step's last forward has evaluated
        self._starts: dict[bytes, NDArray[np.float64]] = {}
        self._state = np.empty(mujoco.mj_stateSize(model, _STATE))

    def reset(self) -> None:
        """Reset the data to what the model starts with."""
        self._changed()
        mujoco.mj_resetData(self.model, self.data)

    def forward(self) -> None:
        """Evaluate what depends on the state: `mj_forward`."""
        self._changed()
        if not self.paused:
            mujoco.mj_forward(self.model, self.data)

    def step(self, num_steps: int = 1) -> None:
        """Make physics steps: `mj_step`."""
        self._changed()
        if not self.paused:
            mujoco.mj_step(self.model, self.data, num_steps)

    def control_step(self, num_steps: int) -> None:
        """Make the physics steps of an environment's step and the forward that ends it.

        The forward that ended the control step before has evaluated the very state that this one starts from;
        only the controls and the position of the mocap body are new. So the first physics step takes over
        positions, contacts, inertia and velocities, and renews the weld that hangs on the mocap body.
        """
        model, data = self.model, self.data
        mujoco.mj_checkPos(model, data)  # as mj_step does first: a state that has diverged is reset,
        mujoco.mj_checkVel(model, data)  # and is then not the one that was evaluated
        if self._evaluated == self._where():
            self._mocap_xpos[:] = self._mocap_pos
            mujoco.mj_makeConstraint(model, data)
            mujoco.mj_referenceConstraint(model, data)
            mujoco.mj_step2(model, data)
            num_steps -= 1
        mujoco.mj_step(model, data, num_steps)
        mujoco.mj_forward(model, data)
        self._evaluated = self._where()
        self.version += 1

    def _changed(self) -> None:
        self._evaluated = None
        self.version += 1

    def _where(self) -> bytes:
        return self._qpos.tobytes() + self._qvel.tobytes() + self._mocap_quat.tobytes()

    def long_step(self, num_steps: int) -> None:
        """Make many steps with constant controls, simulated once for each start and then looked up.

        What is kept is the state before the last step. That step is simulated every time, so that everything
        derived from the state (positions, contacts, warm start) is what the whole simulation would have left.
        """
        model, data = self.model, self.data
        self._changed()
        mujoco.mj_getState(model, data, self._state, _STATE)
        # Of a model, a reset changes only where bodies and sites are, and sites take no part in the physics.
        start = b"".join((self._state.tobytes(), model.body_pos.tobytes(), num_steps.to_bytes(4)))
        before_last = self._starts.get(start)
        if before_last is None:
            mujoco.mj_step(model, data, num_steps - 1)
            mujoco.mj_getState(model, data, self._state, _STATE)
            if len(self._starts) >= MAX_KEPT_STARTS:
                self._starts.pop(next(iter(self._starts)))
            self._starts[start] = self._state.copy()
        else:
            mujoco.mj_setState(model, data, before_last, _STATE)
        mujoco.mj_step(model, data)
