"""The parts of fast environments against what they stand for: numpy, scipy and Meta-World's reward shapes."""

from __future__ import annotations

from typing import Any

import mujoco as untyped_mujoco
import numpy as np
import pytest
from metaworld import env_dict
from metaworld.sawyer_xyz_env import SawyerXYZEnv
from metaworld.utils import reward_utils
from scipy.spatial.transform import Rotation

from actors.environment import make_environment
from actors.metaworld import fast_numpy
from actors.metaworld.fast_caging import OWN_REWARDS
from actors.metaworld.fast_environment import fast_class
from actors.metaworld.fast_numpy import MatrixRotation, clip, hstack, norm, rotation_class
from actors.metaworld.fast_rewards import tolerance
from actors.metaworld.scripted_policy import scripted_policy

mujoco: Any = untyped_mujoco  # defined in C, of which pyright knows nothing


def assert_same(theirs: Any, ours: Any) -> None:
    """The same type and the same bits."""
    assert type(theirs) is type(ours), f"{theirs!r} is not {ours!r}"
    assert np.asarray(theirs).dtype == np.asarray(ours).dtype
    assert np.asarray(theirs).tobytes() == np.asarray(ours).tobytes(), f"{theirs!r} is not {ours!r}"


def test_quaternions_are_those_of_scipy() -> None:
    rng = np.random.default_rng(0)
    quats = rng.normal(size=(3000, 4))
    quats[::3, rng.integers(4)] *= 1e-6  # near the seams between its four cases
    quats[1::3, 0] = 0
    for quat in quats / np.linalg.norm(quats, axis=1, keepdims=True):
        flat = np.empty(9)
        mujoco.mju_quat2Mat(flat, quat)
        matrix = flat.reshape(3, 3)
        assert_same(Rotation.from_matrix(matrix).as_quat(), MatrixRotation.from_matrix(matrix).as_quat())


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7])
def test_norms_are_those_of_numpy(size: int) -> None:
    for vector in np.random.default_rng(1).normal(size=(1000, 2 * size)):
        for x in (vector[:size], vector[::2], vector.astype(np.float32), vector[0]):
            assert_same(np.linalg.norm(x), norm(x))
            if isinstance(x, np.ndarray):
                assert_same(np.linalg.norm(x, ord=2), norm(x, ord=2))


@pytest.mark.parametrize(
    "norm_of", [fast_numpy.length, fast_numpy._length_by_blas], ids=["chosen", "by BLAS"]
)
def test_lengths_and_distances_are_norms(norm_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_numpy, "length", norm_of)
    for p, q in np.random.default_rng(1).normal(size=(1000, 2, 3)):
        assert norm_of(*p.tolist()) == np.linalg.norm(p)
        assert norm_of(*p[:2].tolist()) == np.linalg.norm(p[:2])
        assert fast_numpy.distance(p.tolist(), q.tolist()) == np.linalg.norm(p - q)


@pytest.mark.parametrize("number", [np.float32, np.float64, float, np.array], ids=lambda kind: kind.__name__)
def test_clipping_and_stacking_are_those_of_numpy(number: Any) -> None:
    for x in (-1.5, -1, -0.3, 0.1, 1, 7, np.nan):
        for bounds in ((-1, 1), (0.0, 0.2), (np.float64(0), 1), (-0.1, None)):
            assert_same(np.clip(number(x), *bounds), clip(number(x), *bounds))
        for arrays in ([number(x), number(2.0)], (np.ones(3), np.zeros(2)), (np.ones(1), number(x))):
            assert_same(np.hstack(arrays), hstack(arrays))


@pytest.mark.parametrize("sigmoid", ["long_tail", "gaussian", "hyperbolic"])
@pytest.mark.parametrize("number", [float, np.float64, np.float32])
def test_tolerances_are_those_of_the_library(sigmoid: Any, number: type) -> None:
    rng = np.random.default_rng(2)
    for x, low, width, margin in rng.uniform(0, 1, (1000, 4)):
        for m in (0.0, float(margin), margin):
            arguments: Any = {"bounds": (low, low + width), "margin": m, "sigmoid": sigmoid}
            assert_same(reward_utils.tolerance(number(x), **arguments), tolerance(number(x), **arguments))
    with pytest.raises(ValueError, match="Lower bound"):
        tolerance(0.5, bounds=(1.0, 0.0))
    with pytest.raises(ValueError, match="margin"):
        tolerance(0.5, margin=-1.0)


def test_another_scipy_is_used_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    assert rotation_class() is MatrixRotation
    monkeypatch.setattr(MatrixRotation, "as_quat", lambda _: np.array([0.0, 0.0, 0.0, 1.0]))
    assert rotation_class() is Rotation


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("pick-place-v3", ()),
        ("push-back-v3", (0.007,)),
        ("soccer-v3", (0.013,)),
        ("sweep-v3", (0.02,)),
        ("sweep-into-v3", (0.02,)),
        ("stick-push-v3", (0.04, 0.05, 0.01, 0.01, 1.0, True)),
        ("stick-push-v3", (0.04, 0.05, 0.01, 0.01, 1.0, False, True)),
        ("push-v3", (0.015, 0.05, 0.01, 0.005, 1.0, True)),
        ("coffee-pull-v3", (0.02, 0.05, 0.04, 0.05, 0.7, False, True)),
        ("push-v3", (0.015, 0.05, 0.01, 0.005)),
    ],
)
def test_caging_is_that_of_the_library(name: str, arguments: tuple[float, ...]) -> None:
    stock: Any = env_dict.ALL_V3_ENVIRONMENTS[name]
    whole: Any = make_environment(name, "mt50", seed=1)
    whole.reset(options={"goal": 0})
    env = whole._env
    rng, seen = np.random.default_rng(3), set()
    for near in np.repeat((0.001, 0.01, 0.1), 300):  # from a firm grip to a hand that is away
        obj = rng.uniform((-0.3, 0.4, 0.0), (0.3, 0.8, 0.3))
        env.left_pad[:] = obj + (0, 0.045, 0) + rng.uniform(-near, near, 3)
        env.right_pad[:] = obj - (0, 0.045, 0) + rng.uniform(-near, near, 3)
        for finger in ("leftEndEffector", "rightEndEffector"):
            env.data.site(finger).xpos[:] = obj + rng.uniform(-near, near, 3)
        env._physics.version += 1
        for dtype in (np.float32, np.float64):
            action = rng.uniform(-1, 1, 4).astype(dtype)
            theirs = stock._gripper_caging_reward(env, action, obj, *arguments)
            assert_same(theirs, env._gripper_caging_reward(action, obj, *arguments))
            seen.add(round(float(theirs), 1))
    assert len(seen) > 4, f"only rewards near {seen} were seen"


@pytest.mark.parametrize("name", ["pick-place-v3", "stick-pull-v3"])  # a cylinder and a box
def test_touch_is_felt_where_the_library_feels_it(name: str) -> None:
    """Also where only the left pad touches, and just out of reach, where contacts are not looked at."""
    environment, act = make_environment(name, "mt50", seed=2), scripted_policy(name)
    env: Any = environment.unwrapped._env  # pyright: ignore[reportAttributeAccessIssue]
    rng = np.random.default_rng(0)
    felt = []
    for goal in range(3):
        obs, _ = environment.reset(options={"goal": goal})
        for _ in range(120):
            action = act(obs) + rng.normal(0, 0.3, 4).astype(np.float32)
            obs = environment.step(action)[0]
            for geom in {env._get_id_main_object(), env.data.geom("rightpad_geom").id, 0}:
                felt.append(env.touching_object(geom))
                assert felt[-1] == bool(SawyerXYZEnv.touching_object(env, geom))
    assert 100 < sum(felt) < len(felt) / 2


def test_each_task_with_its_own_caging_has_its_fast_one() -> None:
    classes = set(env_dict.ALL_V3_ENVIRONMENTS.values())
    own = {stock.__name__ for stock in classes if "_gripper_caging_reward" in vars(stock)}
    assert own == set(OWN_REWARDS)
    for stock in classes:
        if stock.__name__ in own:
            assert vars(fast_class(stock))["_gripper_caging_reward"] is OWN_REWARDS[stock.__name__]
