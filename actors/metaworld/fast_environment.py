"""Fast environments of Meta-World: the library's own task code over faster parts.

The class of a fast environment is a subclass of the library's task, the stock class. `FastSawyer` takes the place of
the base class under it, and the task's own methods run as they are, except that the names `np`, `reward_utils`,
`Rotation` and `mujoco` in them mean ours. The library itself is never changed: stock and fast environments live in one
process.
"""

from __future__ import annotations

import functools
import importlib.metadata
import sys
import types
import warnings
from typing import Any

import mujoco as untyped_mujoco
import numpy as np
from metaworld.sawyer_xyz_env import SawyerXYZEnv
from metaworld.utils import reward_utils
from scipy.spatial.transform import Rotation

from actors.metaworld import fast_numpy, fast_rewards
from actors.metaworld.fast_caging import OWN_REWARDS
from actors.metaworld.fast_sawyer import FastSawyer

mujoco: Any = untyped_mujoco  # defined in C, of which pyright knows nothing

PROVEN_VERSIONS = {"metaworld": "3.1.1", "mujoco": "3.3.0"}

_LINALG = types.SimpleNamespace(**{**vars(np.linalg), "norm": fast_numpy.norm})
_NUMPY = types.SimpleNamespace(
    **{**vars(np), "linalg": _LINALG, "clip": fast_numpy.clip, "hstack": fast_numpy.hstack}
)
_MUJOCO = types.SimpleNamespace(
    mj_forward=lambda model, data: data.physics.forward(),
    mj_step=lambda model, data: data.physics.step(),
    mj_name2id=mujoco.mj_name2id,
    mjtObj=mujoco.mjtObj,
)
# By the id of what they stand for: a task's module may have imported a module or one function of it.
_STAND_INS: dict[int, Any] = {
    id(np): _NUMPY,
    id(mujoco): _MUJOCO,
    id(Rotation): fast_numpy.rotation_class(),
    id(reward_utils): fast_rewards,
    id(reward_utils.tolerance): fast_rewards.tolerance,
}


@functools.cache
def fast_class(stock: type[SawyerXYZEnv]) -> type[SawyerXYZEnv]:
    """Derive the fast class of a stock class; for versions that are not proven return that one, with one warning."""
    if not versions_are_proven():
        return stock
    module = vars(sys.modules[stock.__module__])
    scope = {name: _STAND_INS.get(id(value), value) for name, value in module.items()}
    members = {name: _rebound(member, scope) for name, member in vars(stock).items()}
    if stock.__name__ in OWN_REWARDS:
        members["_gripper_caging_reward"] = OWN_REWARDS[stock.__name__]
    fast: Any = types.new_class(
        stock.__name__, (stock, FastSawyer), exec_body=lambda body: body.update(members)
    )
    scope[stock.__name__] = fast  # a task calls its own static methods by the name of its class
    return fast


@functools.cache
def versions_are_proven() -> bool:
    """Return whether trajectories were proven equal for the installed versions; warn once if not."""
    installed = {name: importlib.metadata.version(name) for name in PROVEN_VERSIONS}
    if installed == PROVEN_VERSIONS:
        return True
    wanted, found = (" ".join(f"{k} {v}" for k, v in x.items()) for x in (PROVEN_VERSIONS, installed))
    warnings.warn(
        f"fast environments are proven for {wanted}, found {found}; stepping stock environments instead",
        stacklevel=2,
    )
    return False


def _rebound(member: Any, scope: dict[str, Any]) -> Any:
    """Return the same code with another global scope; what is no code stays as it is."""
    if isinstance(member, staticmethod):
        return staticmethod(_rebound(member.__func__, scope))
    if isinstance(member, property):
        return property(*(f and _rebound(f, scope) for f in (member.fget, member.fset, member.fdel)))
    if not isinstance(member, types.FunctionType):
        return member
    if member.__name__ == "inner" and member.__closure__:  # assert_task_is_set, which our step checks itself
        return _rebound(member.__closure__[0].cell_contents, scope)
    code = types.FunctionType(
        member.__code__, scope, member.__name__, member.__defaults__, member.__closure__
    )
    code.__kwdefaults__ = member.__kwdefaults__
    return code
