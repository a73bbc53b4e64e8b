"""Fast environments compute what the library's compute, to the last bit, and leave the library alone."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import metaworld.env_dict as env_dict
import mujoco as untyped_mujoco
import numpy as np
import pytest

from actors.config import EnvironmentConfig
from actors.environment import make_environment
from actors.families.metaworld import MetaWorldEnvironment
from actors.metaworld import fast_environment
from actors.metaworld.fast_environment import fast_class
from actors.metaworld.fast_physics import Physics
from actors.metaworld.headless_model import headless_class
from actors.metaworld.scripted_policy import scripted_policy

mujoco: Any = untyped_mujoco  # defined in C, of which pyright knows nothing

STEPS = 500
ACTIONS = ("random", "scripted", "scripted with noise")
# Two formulas for caging, two objects, a hidden constraint, moved furniture, physics in the reset, float32 rewards.
ALWAYS = ("pick-place-v3", "stick-pull-v3", "assembly-v3", "door-lock-v3", "box-close-v3")
ALL = tuple(env_dict.ALL_V3_ENVIRONMENTS)
_STATE = int(mujoco.mjtState.mjSTATE_INTEGRATION)


class Pair:
    """A stock environment and a fast, headless one, by the library's own interface, stepped side by side."""

    def __init__(self, name: str, reward_version: str = "v2", partially_observable: bool = False) -> None:
        stock = env_dict.ALL_V3_ENVIRONMENTS[name]
        self.envs: list[Any] = []
        for environment_class in (stock, headless_class(fast_class(stock))):
            env: Any = environment_class(reward_function_version=reward_version)
            env._set_task_called, env._freeze_rand_vec = True, False
            env._partially_observable = partially_observable
            env.__dict__.pop("sawyer_observation_space", None)
            self.envs.append(env)

    def reset(self, seed: int) -> np.ndarray:
        results, streams = [], []
        for env in self.envs:
            np.random.seed(seed)  # noqa: NPY002 -- the stream that the library draws from
            results.append(env.reset())
            streams.append(np.random.get_state(legacy=True)[1:3])  # noqa: NPY002 # pyright: ignore
        assert_same(results[0][0], results[1][0])
        assert results[0][1] == results[1][1]
        assert_same(*streams)
        return results[0][0]

    def step(self, action: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
        stock, fast = (env.step(action) for env in self.envs)
        for theirs, ours in zip(stock[:4], fast[:4], strict=True):
            assert_same(theirs, ours)
        assert list(stock[4]) == list(fast[4])
        for key, value in stock[4].items():
            assert_same(value, fast[4][key])
        return stock[0], stock[4]

    def assert_same_attributes(self) -> None:
        """All that a task keeps between steps, the whole state of the physics and what a reset moves."""
        stock, fast = self.envs
        for key, value in vars(stock).items():
            if isinstance(value, float | int | str | np.ndarray) and key != "_prev_obs":
                assert_same(value, vars(fast)[key])
        for field in ("body_pos", "body_quat", "site_pos", "eq_data"):
            assert_same(getattr(stock.model, field), getattr(fast.model, field))
        states = [np.empty(mujoco.mj_stateSize(stock.model, _STATE)) for _ in range(2)]
        for env, state in zip(self.envs, states, strict=True):
            mujoco.mj_getState(env.model, getattr(env.data, "raw", env.data), state, _STATE)
        assert_same(*states)


def assert_same(theirs: Any, ours: Any) -> None:
    """The same type and the same bits."""
    assert type(theirs) is type(ours), f"{theirs!r} is not {ours!r}"
    if isinstance(theirs, tuple):
        for one, other in zip(theirs, ours, strict=True):
            assert_same(one, other)
    elif isinstance(theirs, np.ndarray | np.generic):
        assert theirs.dtype == ours.dtype
        assert theirs.tobytes() == ours.tobytes(), f"{theirs!r} is not {ours!r}"
    else:
        assert theirs == ours


def action_of(kind: str, policy: Any, obs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if kind == "random":
        return rng.uniform(-1.2, 1.2, 4).astype(np.float32)  # beyond the bounds, which are clipped
    noise = rng.normal(0, 0.3, 4) if kind == "scripted with noise" else 0.0
    return (policy(obs) + noise).astype(np.float32)


def assert_identical(
    name: str, seeds: tuple[int, ...], reward_version: str = "v2", hidden: bool = False
) -> None:
    pair = Pair(name, reward_version, hidden)
    policy, rng = scripted_policy(name), np.random.default_rng(seeds[0])
    for seed in seeds:  # a seed that comes back starts a goal that has been started before
        for kind in ACTIONS:
            obs = pair.reset(seed)
            pair.assert_same_attributes()
            for _ in range(STEPS):
                obs, _ = pair.step(action_of(kind, policy, obs, rng))
            pair.assert_same_attributes()
            with pytest.raises(ValueError, match="reset the env manually"):
                pair.envs[1].step(np.zeros(4, np.float32))


@pytest.mark.parametrize("name", ALWAYS)
def test_trajectories_are_identical(name: str) -> None:
    assert_identical(name, seeds=(0,))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ALL)
def test_trajectories_are_identical_on_every_task(name: str) -> None:
    assert_identical(name, seeds=(1, 2, 1))
    assert_identical(name, seeds=(3,), hidden=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_the_older_reward_is_identical(name: str) -> None:
    assert_identical(name, seeds=(4,), reward_version="v1")


def test_a_goal_that_comes_back_and_a_hidden_goal() -> None:
    pair = Pair("drawer-open-v3", partially_observable=True)
    for seed in (5, 6, 5):
        obs = pair.reset(seed)
        for _ in range(10):
            obs, _ = pair.step(np.array([0.1, -1, 0.5, 1]))  # float64, as scripted policies have it
        assert not obs[-3:].any()


@pytest.mark.parametrize(
    ("field", "value"), [("qpos", 1e12), ("qvel", np.nan)], ids=["positions", "velocities"]
)
def test_physics_that_diverge_are_reset_alike(
    field: str, value: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # MuJoCo writes its log where it is
    pair = Pair("push-v3")
    pair.reset(7)
    pair.step(np.zeros(4, np.float32))
    for env in pair.envs:
        getattr(env.data, field)[9] = value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(5):
            pair.step(np.array([1, 0, 0.5, -1], np.float32))
    pair.assert_same_attributes()


def test_a_state_set_between_steps() -> None:
    pair = Pair("push-v3")
    pair.reset(8)
    pair.step(np.ones(4, np.float32))
    for env in pair.envs:
        qpos, qvel = env.get_env_state()
        env.set_env_state((qpos, qvel + 0.1))
    pair.step(np.ones(4, np.float32))
    pair.assert_same_attributes()


def test_a_long_step_is_looked_up_only_for_the_same_places_of_bodies() -> None:
    model = Pair("drawer-open-v3").envs[1].model
    physics, plain = Physics(model, mujoco.MjData(model)), mujoco.MjData(model)
    mujoco.mj_forward(model, plain)
    hand = plain.body("hand").xpos.copy()
    ended = []
    for place in ([0.0, 5.0, 0.0], hand, [0.0, 5.0, 0.0]):  # far away, where the hand starts, far away again
        model.body("drawer").pos = place
        physics.reset()
        mujoco.mj_resetData(model, plain)
        physics.long_step(40)
        mujoco.mj_step(model, plain, 40)
        assert_same(plain.qpos.copy(), physics.data.qpos.copy())
        assert_same(plain.site_xpos.copy(), physics.data.site_xpos.copy())
        ended.append(plain.qpos.tobytes())
    assert ended[0] == ended[2] != ended[1]


def test_fast_by_argument_and_by_configuration() -> None:
    stock, fast = (make_environment("push-v3", "mt1", seed=1, fast=fast) for fast in (False, True))
    configured = make_environment("push-v3", "mt1", seed=1, config=EnvironmentConfig(fast=False))
    assert isinstance(stock, MetaWorldEnvironment) and isinstance(fast, MetaWorldEnvironment)
    assert isinstance(configured, MetaWorldEnvironment)
    library = env_dict.ALL_V3_ENVIRONMENTS["push-v3"]
    fast_library = fast_class(library)
    assert fast_library is not library
    for env, is_fast in ((stock, False), (configured, False), (fast, True)):
        assert isinstance(env._env, library) and isinstance(env._env, fast_library) == is_fast
    assert EnvironmentConfig().fast
    own, headless = library(reward_function_version="v2").model.ngeom, fast.simulation[0].ngeom
    assert stock.simulation[0].ngeom == configured.simulation[0].ngeom == own > headless
    np.testing.assert_array_equal(stock.reset(options={"goal": 3})[0], fast.reset(options={"goal": 3})[0])


def test_the_library_is_left_as_it_was() -> None:
    """In a new process: every module and class of the library holds the same objects after a fast episode."""
    code = """
import sys
import metaworld, numpy, scipy.spatial.transform
from actors.environment import make_environment
make_environment("push-v3", "mt1", fast=False).reset()
def contents():
    modules = {n: m for n, m in sys.modules.items() if n.startswith(("metaworld", "numpy.linalg", "mujoco.mj"))}
    found = {(n, k): v for n, m in modules.items() for k, v in vars(m).items()}
    classes = [v for v in found.values() if isinstance(v, type) and v.__module__.startswith("metaworld")]
    return {**{k: id(v) for k, v in found.items()}, **{(c, k): id(v) for c in classes for k, v in vars(c).items()}}
before = contents()
env = make_environment("push-v3", "mt1", fast=True)
env.reset()
env.step(env.action_space.sample())
after = contents()
print(len(before), [key for key in before if before[key] != after.get(key)])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    count, changed = done.stdout.split(maxsplit=1)
    assert int(count) > 1000
    assert changed.strip() == "[]"


@pytest.fixture
def unproven(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(fast_environment.PROVEN_VERSIONS, "mujoco", "3.2.9")
    for cached in (fast_environment.fast_class, fast_environment.versions_are_proven):
        cached.cache_clear()
    yield
    for cached in (fast_environment.fast_class, fast_environment.versions_are_proven):
        cached.cache_clear()


@pytest.mark.usefixtures("unproven")
def test_another_version_falls_back_to_stock_with_one_warning() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        envs = [make_environment(name, "mt1", fast=True) for name in ("reach-v3", "push-v3")]
    about_versions = [str(w.message) for w in caught if "proven" in str(w.message)]
    assert len(about_versions) == 1
    assert "proven for metaworld 3.1.1 mujoco 3.2.9, found metaworld" in about_versions[0]
    for env in envs:
        assert isinstance(env, MetaWorldEnvironment)
        assert not any(base.__module__.startswith("actors.metaworld.fast") for base in type(env._env).__mro__)
        env.reset()
        env.step(np.zeros(4, np.float32))


def test_drawn_pictures_are_identical() -> None:
    code = """
import numpy as np
from actors.environment import make_environment
envs = [make_environment("push-v3", "mt1", render_mode="rgb_array", fast=fast) for fast in (False, True)]
for env in envs:
    env.reset(options={"goal": 0})
for action in np.random.default_rng(0).uniform(-1, 1, (4, 4)).astype(np.float32):
    results = [env.step(action) for env in envs]
    assert (results[0][0] == results[1][0]).all()
    pictures = [env.render() for env in envs]
    assert pictures[0].std() > 1 and (pictures[0] == pictures[1]).all()
print("equal")
"""
    errors = []
    for platform in ("osmesa", "egl"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "MUJOCO_GL": platform},
            capture_output=True,
            text=True,
            timeout=120,
        )
        if done.stdout.strip() == "equal":
            return
        errors.append(f"{platform}: {(done.stderr.strip().splitlines() or ['no output'])[-1]}")
        assert "AssertionError" not in done.stderr, done.stderr
    pytest.skip(f"no OpenGL that MuJoCo can use without a screen: {'; '.join(errors)}")
