"""The layer under Meta-World's tasks, `SawyerXYZEnv`, evaluated faster: step, observation, contacts, reset."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import mujoco
import numpy as np
from metaworld.sawyer_xyz_env import SawyerXYZEnv
from numpy.typing import NDArray

from actors.fast_names import NamedData
from actors.fast_numpy import length
from actors.fast_physics import Physics
from actors.fast_rewards import hamacher_product, tolerance

Vector = NDArray[np.float64]

_MOCAP_QUAT = np.array([1.0, 0.0, 1.0, 0.0])
_ACTION_LOW, _ACTION_HIGH = np.full(3, -1, np.float32), np.full(3, 1, np.float32)


class FastSawyer(SawyerXYZEnv):
    """What `SawyerXYZEnv` computes, bit for bit; `fast_class` puts it between the library's task and its base.

    Left out of a step: `mj_rnePostConstraint`, whose results nothing reads, and the moving of the target's
    sites, which the `mj_forward` after it undoes.
    """

    data: Any

    def _initialize_simulation(self) -> tuple[mujoco.MjModel, mujoco.MjData]:
        model, data = super()._initialize_simulation()
        self._physics = Physics(model, data)
        named = self._named = NamedData(data, self._physics)
        self._left_pad, self._right_pad = named.body("leftpad").xpos, named.body("rightpad").xpos
        self._hand = named.body("hand").xpos
        self._right_claw, self._left_claw = named.body("rightclaw").xpos, named.body("leftclaw").xpos
        self._right_finger = named.site("rightEndEffector").xpos
        self._left_finger = named.site("leftEndEffector").xpos
        self._pad_geoms = named.geom("leftpad_geom").id, named.geom("rightpad_geom").id
        self._mocap_pos, self._mocap_quat = data.mocap_pos[0], data.mocap_quat[0]
        self._ctrl = data.ctrl
        self._tcp: Vector | None = None  # tcp_center while a state is evaluated
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
        self._physics.control_step(self.frame_skip)
        self.curr_path_length += 1
        obs = self._get_obs()
        bounds: Any = self.sawyer_observation_space
        np.maximum(obs, bounds.low, out=obs)
        np.minimum(obs, bounds.high, out=obs)
        self._last_stable_obs = obs
        self._tcp = (self._right_finger + self._left_finger) / 2.0
        reward, info = self.evaluate_state(obs, action)
        self._tcp = None
        return obs, reward, False, self.curr_path_length == self.max_path_length, info

    def set_xyz_action(self, action: NDArray[Any]) -> None:
        delta = np.maximum(action, _ACTION_LOW)
        np.minimum(delta, _ACTION_HIGH, out=delta)
        delta *= self.action_scale  # in float32 for a float32 action, as in the library
        pos = self._mocap_pos
        pos += delta
        np.maximum(pos, self.mocap_low, out=pos)
        np.minimum(pos, self.mocap_high, out=pos)
        self._mocap_quat[:] = _MOCAP_QUAT

    def do_simulation(self, ctrl: Any, n_frames: int) -> None:
        self._ctrl[:] = ctrl
        self._physics.step(n_frames)

    def set_state(self, qpos: Vector, qvel: Vector) -> None:
        if not self._physics.paused:
            self.data.qpos[:] = qpos
            self.data.qvel[:] = qvel
            self._physics.forward()

    # --- what is read from the simulation

    @property
    def tcp_center(self) -> Vector:
        return self._tcp if self._tcp is not None else (self._right_finger + self._left_finger) / 2.0

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
        opening = _distance(self._right_claw.tolist(), self._left_claw.tolist())
        obs[3] = min(max(opening / 0.1, 0.0), 1.0)
        pos, quat = self._get_pos_objects(), self._get_quat_objects()
        for i in range(len(pos) // 3):
            obs[4 + 7 * i : 7 + 7 * i] = pos[3 * i : 3 * i + 3]
            obs[7 + 7 * i : 11 + 7 * i] = quat[4 * i : 4 * i + 4]

    def touching_object(self, object_geom_id: int) -> bool:
        """Whether both pads press on the geom."""
        contact = self._named.raw.contact
        left, right = self._pad_geoms
        on_left, on_right = [], []
        for i, pair in enumerate(contact.geom.tolist()):
            if object_geom_id in pair:
                if left in pair:
                    on_left.append(i)
                if right in pair:
                    on_right.append(i)
        if not on_left or not on_right:
            return False
        forces, addresses = self._named.raw.efc_force.tolist(), contact.efc_address.tolist()
        return 0 < sum(forces[addresses[i]] for i in on_left) and 0 < sum(forces[addresses[i]] for i in on_right)

    def _gripper_caging_reward(
        self,
        action: NDArray[Any],
        obj_pos: Vector,
        obj_radius: float,
        pad_success_thresh: float,
        object_reach_radius: float,
        xz_thresh: float,
        desired_gripper_effort: float = 1.0,
        high_density: bool = False,
        medium_density: bool = False,
    ) -> float:
        """How well the fingers enclose and grip the object: the library's formula without its small arrays."""
        if high_density and medium_density:
            raise ValueError("Can only be either high_density or medium_density")
        assert self.obj_init_pos is not None, "`obj_init_pos` must be initialized before calling this function."
        obj, init = obj_pos.tolist(), self.obj_init_pos.tolist()
        tcp, init_tcp = self.tcp_center.tolist(), self.init_tcp.tolist()
        bounds = (obj_radius, pad_success_thresh)
        left, right = self._left_pad.item(1), self._right_pad.item(1)
        caging_y = hamacher_product(
            tolerance(abs(left - obj[1]), bounds, abs(abs(left - init[1]) - pad_success_thresh), "long_tail"),
            tolerance(abs(right - obj[1]), bounds, abs(abs(right - init[1]) - pad_success_thresh), "long_tail"),
        )
        caging_xz = tolerance(
            length(tcp[0] - obj[0], tcp[2] - obj[2]),
            (0, xz_thresh),
            length(init[0] - init_tcp[0], init[2] - init_tcp[2]) - xz_thresh,
            "long_tail",
        )
        # A float32 action makes what follows float32 in the library, and so here.
        effort = min(max(0, action[-1]), desired_gripper_effort) / desired_gripper_effort
        caging = hamacher_product(caging_y, caging_xz)
        reward = hamacher_product(caging, effort if caging > 0.97 else 0.0)
        if high_density:
            return (reward + caging) / 2
        if not medium_density:
            return reward
        reach = tolerance(
            _distance(obj, tcp),
            (0, object_reach_radius),
            abs(_distance(init, init_tcp) - object_reach_radius),
            "long_tail",
        )
        return (reward + reach) / 2

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
        self._physics.reset()
        obs = self.reset_model()
        if self.render_mode == "human":
            self.render()
        self._prev_obs = obs[:18].copy()
        obs[18:36] = self._prev_obs
        return obs, {}

    def _reset_hand(self, steps: int = 50) -> None:
        if not self._physics.paused:
            self._mocap_pos[:] = self.hand_init_pos
            self._mocap_quat[:] = _MOCAP_QUAT
            self._ctrl[0], self._ctrl[1] = -1.0, 1.0
            self._physics.long_step(steps * self.frame_skip)
        self.init_tcp = self.tcp_center

    @contextmanager
    def _paused(self) -> Iterator[None]:
        self._physics.paused = True
        try:
            yield
        finally:
            self._physics.paused = False


def _distance(p: list[float], q: list[float]) -> float:
    return length(p[0] - q[0], p[1] - q[1], p[2] - q[2])
