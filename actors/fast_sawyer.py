"""The layer under Meta-World's tasks, `SawyerXYZEnv`, evaluated faster: step, observation, contacts, reset."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import mujoco
import numpy as np
from metaworld.sawyer_xyz_env import SawyerXYZEnv
from numpy.typing import NDArray

from actors.fast_hand_reset import HandReset
from actors.fast_names import NamedData
from actors.fast_rewards import hamacher_product, tolerance

Vector = NDArray[np.float64]

_MOCAP_QUAT = np.array([1.0, 0.0, 1.0, 0.0])


class FastSawyer(SawyerXYZEnv):
    """What `SawyerXYZEnv` computes, bit for bit; `fast_class` puts it between the library's task and its base.

    Left out of a step: `mj_rnePostConstraint`, whose results nothing reads, and the moving of the target's
    sites, which the `mj_forward` after it undoes.
    """

    data: Any

    def _initialize_simulation(self) -> tuple[mujoco.MjModel, mujoco.MjData]:
        model, data = super()._initialize_simulation()
        named = self._named = NamedData(model, data)
        self._hand = named.body("hand").xpos
        self._right_claw, self._left_claw = named.body("rightclaw").xpos, named.body("leftclaw").xpos
        self._right_finger = named.site("rightEndEffector").xpos
        self._left_finger = named.site("leftEndEffector").xpos
        self._pad_geoms = named.geom("leftpad_geom").id, named.geom("rightpad_geom").id
        self._mocap_pos, self._mocap_quat = data.mocap_pos[0], data.mocap_quat[0]
        self._ctrl = data.ctrl
        self._hand_reset = HandReset(named)
        return model, data

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.data = self._named  # from here on; the library's constructor needs MuJoCo's own

    # --- step

    def step(self, action: NDArray[Any]) -> tuple[Vector, Any, bool, bool, dict[str, Any]]:
        if not self._set_task_called:
            raise RuntimeError("You must call env.set_task before using env.step")
        assert len(action) == 4, f"Actions should be size 4, got {len(action)}"
        self.set_xyz_action(action[:3])
        if self.curr_path_length >= self.max_path_length:
            raise ValueError("You must reset the env manually once truncate==True")
        grip = float(action[3])
        self._ctrl[0], self._ctrl[1] = grip, -grip
        data = self.data
        data.step(self.frame_skip)
        self.curr_path_length += 1
        data.forward()
        space = self.sawyer_observation_space
        obs = self._get_obs()
        obs.clip(space.low, space.high, out=obs)
        self._last_stable_obs = obs
        reward, info = self.evaluate_state(obs, action)
        return obs, reward, False, self.curr_path_length == self.max_path_length, info

    def set_xyz_action(self, action: NDArray[Any]) -> None:
        pos = self._mocap_pos
        pos += np.asarray(action).clip(-1, 1) * self.action_scale
        pos.clip(self.mocap_low, self.mocap_high, out=pos)
        self._mocap_quat[:] = _MOCAP_QUAT

    def do_simulation(self, ctrl: Any, n_frames: int) -> None:
        self._ctrl[:] = ctrl
        self.data.step(n_frames)

    def set_state(self, qpos: Vector, qvel: Vector) -> None:
        data = self.data
        if data.paused:
            return
        data.qpos[:] = qpos
        data.qvel[:] = qvel
        data.forward()

    # --- what is read from the simulation

    @property
    def tcp_center(self) -> Vector:
        return (self._right_finger + self._left_finger) / 2.0

    def get_endeff_pos(self) -> Vector:
        return self._hand

    def _get_obs(self) -> Vector:
        """Two frames of 18 numbers and the goal, unclipped: f64[39]."""
        obs = np.zeros(39)
        self._write_frame(obs)
        obs[18:36] = self._prev_obs
        if not self._partially_observable:
            obs[36:] = self._get_pos_goal()
        self._prev_obs = obs[:18].copy()
        return obs

    def _get_curr_obs_combined_no_goal(self) -> Vector:
        frame = np.zeros(18)
        self._write_frame(frame)
        return frame

    def _write_frame(self, obs: Vector) -> None:
        """The hand's position, how far the gripper is open, and position and quaternion of each object."""
        obs[:3] = self._hand
        claws = self._right_claw - self._left_claw
        obs[3] = min(max(math.sqrt(claws.dot(claws)) / 0.1, 0.0), 1.0)
        pos, quat = self._get_pos_objects(), self._get_quat_objects()
        for i in range(len(pos) // 3):
            obs[4 + 7 * i : 7 + 7 * i] = pos[3 * i : 3 * i + 3]
            obs[7 + 7 * i : 11 + 7 * i] = quat[4 * i : 4 * i + 4]

    def touching_object(self, object_geom_id: int) -> bool:
        """Whether both pads press on the geom."""
        data = self.data.raw
        if not data.ncon:
            return False
        contact = data.contact
        geoms = contact.geom.tolist()
        pads = self._pad_geoms
        pressed: list[Any] = [0, 0]
        for i, pair in enumerate(geoms):
            if object_geom_id in pair:
                for side in (0, 1):
                    if pads[side] in pair:
                        pressed[side] = pressed[side] + data.efc_force[contact.efc_address[i]]
        return 0 < pressed[0] and 0 < pressed[1]

    # --- reset

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Vector, dict[str, Any]]:
        """As the library's, which starts every episode twice; the first start only draws random vectors here.

        What the first start simulates, the second one wipes out.
        """
        self.curr_path_length = 0
        with self._paused():
            self.reset_model()
        mujoco.mj_resetData(self.data.raw_model, self.data.raw)
        obs = self.reset_model()
        if self.render_mode == "human":
            self.render()
        self._prev_obs = obs[:18].copy()
        obs[18:36] = self._prev_obs
        return obs, {}

    def _reset_hand(self, steps: int = 50) -> None:
        if not self.data.paused:
            self._mocap_pos[:] = self.hand_init_pos
            self._mocap_quat[:] = _MOCAP_QUAT
            self._ctrl[0], self._ctrl[1] = -1.0, 1.0
            self._hand_reset.simulate(steps * self.frame_skip)
        self.init_tcp = self.tcp_center

    @contextmanager
    def _paused(self) -> Iterator[None]:
        self.data.paused = True
        try:
            yield
        finally:
            self.data.paused = False
