"""The caging reward, how well the fingers enclose and grip an object: the library's formulas without small arrays.

Meta-World's base class has one and six tasks have their own, of two kinds: the base's, measured from another start,
and an older one, of which five tasks differ in its constants.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from actors.metaworld.fast_numpy import distance, length
from actors.metaworld.fast_rewards import hamacher_product, tolerance

_PAD_MARGIN = 0.05  # m, of the older kind

# How far the hand starts from the object: the same all through an episode.
_length_at_start = functools.lru_cache(maxsize=256)(length)


def caging_reward(
    env: Any,
    start: NDArray[Any],
    action: NDArray[Any],
    obj_pos: NDArray[Any],
    obj_radius: float,
    pad_success_thresh: float,
    object_reach_radius: float,
    xz_thresh: float,
    desired_gripper_effort: float = 1.0,
    high_density: bool = False,
    medium_density: bool = False,
) -> float:
    """Compute `SawyerXYZEnv._gripper_caging_reward`, with the object's position at the episode's start as `start`."""
    if high_density and medium_density:
        raise ValueError("Can only be either high_density or medium_density")
    obj, init = obj_pos.tolist(), start.tolist()
    tcp, init_tcp = env.tcp_center.tolist(), env.init_tcp.tolist()
    bounds = (obj_radius, pad_success_thresh)
    left, right = env.left_pad.item(1), env.right_pad.item(1)
    caging_y = hamacher_product(
        tolerance(abs(left - obj[1]), bounds, abs(abs(left - init[1]) - pad_success_thresh), "long_tail"),
        tolerance(abs(right - obj[1]), bounds, abs(abs(right - init[1]) - pad_success_thresh), "long_tail"),
    )
    caging_xz = tolerance(
        length(tcp[0] - obj[0], tcp[2] - obj[2]),
        (0, xz_thresh),
        _length_at_start(init[0] - init_tcp[0], init[2] - init_tcp[2]) - xz_thresh,
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
    reach_at_start = _length_at_start(init[0] - init_tcp[0], init[1] - init_tcp[1], init[2] - init_tcp[2])
    reach = tolerance(
        distance(obj, tcp),
        (0, object_reach_radius),
        abs(reach_at_start - object_reach_radius),
        "long_tail",
    )
    return (reward + reach) / 2


def _stick_push(env: Any, *args: Any, **kwargs: Any) -> float:
    return caging_reward(env, env.stick_init_pos, *args, **kwargs)


def _pick_place(env: Any, action: NDArray[Any], obj_pos: NDArray[Any]) -> float:
    radius = 0.015
    obj = obj_pos.tolist()
    caging = hamacher_product(_between_pads(env, obj[1], radius, _PAD_MARGIN), _above(env, obj, 0.005))
    effort = min(max(0, action[-1]), 1)  # of the action's type, as above
    return (hamacher_product(caging, effort if caging > 0.97 else 0.0) + caging) / 2


def _with_margins(grip: float, xz: float) -> Callable[..., float]:
    """Make the reward of a task that wants the pads this near to the object's surface, in m, and no effort."""

    def reward(env: Any, action: NDArray[Any], obj_pos: NDArray[Any], obj_radius: float) -> float:
        obj = obj_pos.tolist()
        caging = hamacher_product(_between_pads(env, obj[1], obj_radius, _PAD_MARGIN), _above(env, obj, xz))
        if caging > 0.95:
            return (caging + _between_pads(env, obj[1], obj_radius, obj_radius + grip)) / 2
        return (caging + 0.0) / 2

    return reward


def _between_pads(env: Any, obj_y: float, radius: float, margin: float) -> float:
    """Rate how far each pad is between the object's surface and the margin, 1 where both are."""
    right_slope = abs(abs(obj_y - env.init_right_pad.item(1)) - _PAD_MARGIN)
    left_slope = abs(abs(obj_y - env.init_left_pad.item(1)) - _PAD_MARGIN)
    return hamacher_product(
        tolerance(obj_y - env.right_pad.item(1), (radius, margin), right_slope, "long_tail"),
        tolerance(env.left_pad.item(1) - obj_y, (radius, margin), left_slope, "long_tail"),
    )


def _above(env: Any, obj: list[float], margin: float) -> float:
    """Rate how near the hand is to the object in x and z, 1 within the margin."""
    tcp, init_tcp, init = env.tcp_center.tolist(), env.init_tcp.tolist(), env.obj_init_pos.tolist()
    return tolerance(
        length(tcp[0] - obj[0], 0.0, tcp[2] - obj[2]),
        (0, margin),
        _length_at_start(init[0] - init_tcp[0], 0.0, init[2] - init_tcp[2]) - margin,
        "long_tail",
    )


# The tasks with a `_gripper_caging_reward` of their own, by the name of the class.
OWN_REWARDS: dict[str, Callable[..., float]] = {
    "SawyerPickPlaceEnvV3": _pick_place,
    "SawyerPushBackEnvV3": _with_margins(grip=0.003, xz=0.01),
    "SawyerSoccerEnvV3": _with_margins(grip=0.01, xz=0.005),
    "SawyerStickPushEnvV3": _stick_push,
    "SawyerSweepEnvV3": _with_margins(grip=0.01, xz=0.005),
    "SawyerSweepIntoGoalEnvV3": _with_margins(grip=0.005, xz=0.01),
}
