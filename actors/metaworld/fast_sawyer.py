"""The layer under Meta-World's tasks, `SawyerXYZEnv`, evaluated faster: step, observation, contacts, reset."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf, sqrt
from typing import Any

import numpy as np
from metaworld.sawyer_xyz_env import SawyerXYZEnv
from numpy.typing import NDArray

from actors.metaworld.fast_caging import caging_reward
from actors.metaworld.fast_data import FastData
from actors.metaworld.fast_physics import Physics

Vector = NDArray[np.float64]

_FLOAT32, _FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
_pack_observation: Any = struct.Struct("39d").pack_into
_MOCAP_QUAT = np.array([1.0, 0.0, 1.0, 0.0])
_NO_SECOND_OBJECT = [0.0] * 7
_BOUNDED = (0, 1, 2, 18, 19, 20, 36, 37, 38)  # hand, hand before, goal; the gripper is clipped already


class FastSawyer(SawyerXYZEnv):
    """Computes what `SawyerXYZEnv` does, bit for bit; `fast_class` puts it between the library's task and its base.

    Left out of a step: `mj_rnePostConstraint`, whose results nothing reads, and the moving of the target's
    sites, which the `mj_forward` after it undoes.
    """

    data: Any
    _views_are_set = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._physics = Physics(self.model, self.data)
        data = self.data = FastData(self.data, self._physics)
        self._hand = data.body("hand").xpos
        self._left_claw, self._right_claw = data.body("leftclaw").xpos, data.body("rightclaw").xpos
        self.left_pad, self.right_pad = data.body("leftpad").xpos, data.body("rightpad").xpos
        self._left_finger = data.site("leftEndEffector").xpos
        self._right_finger = data.site("rightEndEffector").xpos
        self._pad_geoms = data.geom("leftpad_geom").id, data.geom("rightpad_geom").id
        self._left_pad_place = data.geom("leftpad_geom").xpos
        self._reaches: dict[int, tuple[Vector, float]] = {}
        self._ctrl, self._mocap_pos, self._mocap_quat = data.ctrl, data.mocap_pos[0], data.mocap_quat[0]
        self._mocap_range = list(
            zip((0, 1, 2), self.mocap_low.tolist(), self.mocap_high.tolist(), strict=True)
        )
        self._scale_float32 = np.full(3, self.action_scale, np.float32)
        self._scale_float64 = np.full(3, self.action_scale)
        self._tcp, self._tcp_version = np.zeros(3), -1  # tcp_center, and of which version of the physics
        self._bounds_of: Any = None  # the space that _bounds are taken from
        self._bounds: list[tuple[int, float, float]] = []
        self._views_are_set = True
        self._prev_obs = self._frame()

    # --- step

    def step(self, action: NDArray[Any]) -> tuple[Vector, Any, bool, bool, dict[str, Any]]:
        """Make one step, as the library's does."""
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
        values = self._observe()
        self._clip(values)
        self._prev_obs = values[:18]
        obs = self._last_stable_obs = np.empty(39)
        _pack_observation(obs, 0, *values)
        reward, info = self.evaluate_state(obs, action)
        return obs, reward, False, self.curr_path_length == self.max_path_length, info

    def set_xyz_action(self, action: NDArray[Any]) -> None:
        """Move the mocap body; the action is scaled, then clipped, which rounds as the other order does."""
        dtype = getattr(action, "dtype", None)
        if dtype is not _FLOAT32 and dtype is not _FLOAT64:
            return super().set_xyz_action(action)
        # A float32 action is scaled in float32, as the library does.
        scale = self._scale_float32 if dtype is _FLOAT32 else self._scale_float64
        deltas, limit, pos = (action * scale).tolist(), scale.item(0), self._mocap_pos
        before = pos.tolist()
        for i, low, high in self._mocap_range:
            delta = deltas[i]
            x = before[i] + (-limit if delta < -limit else limit if delta > limit else delta)
            pos[i] = low if x < low else high if x > high else x
        self._mocap_quat[:] = _MOCAP_QUAT
        return None

    def do_simulation(self, ctrl: Any, n_frames: int) -> None:
        """Make physics steps with these controls."""
        self._ctrl[:] = ctrl
        self._physics.step(n_frames)

    def set_state(self, qpos: Vector, qvel: Vector) -> None:
        """Set positions and velocities, unless the physics is paused."""
        if not self._physics.paused:
            self.data.qpos[:] = qpos
            self.data.qvel[:] = qvel
            self._physics.forward()

    # --- what is read from the simulation

    @property
    def tcp_center(self) -> Vector:
        """The middle between the fingers, computed once for each state of the physics."""
        if self._tcp_version != self._physics.version:
            self._tcp_version = self._physics.version
            right, left = self._right_finger.tolist(), self._left_finger.tolist()
            self._tcp = np.array([(x + y) / 2.0 for x, y in zip(right, left, strict=True)])
        return self._tcp

    def _get_obs(self) -> Vector:
        values = self._observe()
        self._prev_obs = values[:18]
        return np.array(values)

    def _get_curr_obs_combined_no_goal(self) -> Vector:
        if not self._views_are_set:  # the library's constructor asks for a first, meaningless frame
            return super()._get_curr_obs_combined_no_goal()
        return np.array(self._frame())

    def _observe(self) -> list[float]:
        """Collect two frames of 18 numbers and the goal, unclipped."""
        goal = [0.0, 0.0, 0.0] if self._partially_observable else self._get_pos_goal().tolist()
        return self._frame() + self._prev_obs + goal

    def _frame(self) -> list[float]:
        """Collect the hand's position, the gripper's opening, and position and quaternion of each object."""
        claws = self._right_claw - self._left_claw
        opening = sqrt(claws.dot(claws)) / 0.1
        frame = self._hand.tolist()
        frame.append(1.0 if opening > 1.0 else opening)
        pos, quat = self._get_pos_objects().tolist(), self._get_quat_objects().tolist()
        if len(pos) == 3:
            return frame + pos + quat + _NO_SECOND_OBJECT
        return frame + pos[:3] + quat[:4] + pos[3:] + quat[4:]

    def _clip(self, values: list[float]) -> None:
        """Clip in place to the bounds of the observation space, which 9 of the 39 numbers have."""
        space: Any = self.sawyer_observation_space
        if space is not self._bounds_of:
            self._bounds_of, low, high = space, space.low.tolist(), space.high.tolist()
            self._bounds = [(i, low[i], high[i]) for i in _BOUNDED]
        for i, low, high in self._bounds:
            if values[i] < low:
                values[i] = low
            elif values[i] > high:
                values[i] = high

    def touching_object(self, object_geom_id: int) -> bool:
        """Return whether both pads press on the geom."""
        place, reach = self._reach_of(object_geom_id)
        x, y, z = place.tolist()
        pad_x, pad_y, pad_z = self._left_pad_place.tolist()
        if (x - pad_x) ** 2 + (y - pad_y) ** 2 + (z - pad_z) ** 2 > reach:
            return False
        contact = self.data.raw.contact
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
        forces, addresses = self.data.raw.efc_force.tolist(), contact.efc_address.tolist()
        return (
            sum(forces[addresses[i]] for i in on_left) > 0 and sum(forces[addresses[i]] for i in on_right) > 0
        )

    def _reach_of(self, geom_id: int) -> tuple[Vector, float]:
        """Find where the geom is, and the squared distance to the left pad beyond which the two cannot touch.

        MuJoCo looks for contacts only where bounding spheres and margins meet; a plane has no such sphere.
        """
        known = self._reaches.get(geom_id)
        if known is None:
            pair, model = [geom_id, self._pad_geoms[0]], self.model
            reach = float((model.geom_rbound[pair] + model.geom_margin[pair]).sum()) + 1e-6
            bounded = model.geom_rbound[geom_id] > 0
            known = self.data.geom_xpos[geom_id], reach**2 if bounded else inf
            self._reaches[geom_id] = known
        return known

    def _gripper_caging_reward(self, *args: Any, **kwargs: Any) -> float:
        assert self.obj_init_pos is not None, (
            "`obj_init_pos` must be initialized before calling this function."
        )
        return caging_reward(self, self.obj_init_pos, *args, **kwargs)

    # --- reset

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Vector, dict[str, Any]]:
        """Begin an episode as the library does, which resets its model twice.

        The first reset only draws its random vectors here: the second undoes all that the first simulates.
        """
        self.curr_path_length = 0
        with self._paused():
            self.reset_model()
        self._physics.reset()
        obs = self.reset_model()
        if self.render_mode == "human":
            self.render()
        obs[18:36] = obs[:18]
        self._prev_obs = obs[:18].tolist()
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
