"""A family is one file of actors/families/ and one line of actors/suites.py."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from actors import families
from actors.assignment import Assignment
from actors.config import ActorsConfig, EnvironmentConfig
from actors.environment import make_environment
from actors.evaluator import evaluate_suite
from actors.families.family import Family
from actors.rollout import RolloutWorker
from actors.suites import FAMILIES, FamilyEntry, family_of, load_family, parse_suite, prepare_suite
from tests.actors.conftest import MakeWeights
from tests.actors.recorded_worker import NewWeights, RecordingWriter

# What docs/families.md asks of a family, and nothing else.
CORRIDOR = '''
import numpy as np

from actors.families.family import EnvironmentRequest, Family
from actors.goal_environment import GoalEnvironment
from actors.tasks import Suite, task_specs


class CorridorEnvironment(GoalEnvironment):
    """A walk along a line to a door; task i walks i + 1 times as far per step."""

    def __init__(self, speed, goals, horizon):
        super().__init__(goals, horizon, obs_dim=2, action_dim=1)
        self.speed = speed

    def _start(self, goal):
        self.place, self.door = 0.0, goal[0]
        return self._observe()

    def _advance(self, action):
        self.place += 0.1 * self.speed * float(action[0])
        return self._observe(), -abs(self.door - self.place), {"success": float(self.place >= self.door)}

    def _observe(self):
        return np.array([self.place, self.door], np.float32)


def _parse(name, horizon):
    count = int(name.removeprefix("corridor:"))
    tasks = task_specs([f"corridor-{i}" for i in range(count)], "corridor", [horizon or 10] * count)
    return Suite(name, name, tasks, obs_dim=2, action_dim=1, standard_steps=1000)


def _build(request):
    goals = np.random.default_rng(request.seed).uniform(0.2, 1.0, (50, 1))[: request.config.num_goals]
    return CorridorEnvironment(request.task_id + 1, goals, request.task.horizon)


FAMILY = Family(_parse, _build)
'''


@pytest.fixture
def corridor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The file in a directory that is searched like the package's own, and the line in the registry."""
    (tmp_path / "corridor.py").write_text(CORRIDOR)
    monkeypatch.setattr(families, "__path__", [*families.__path__, str(tmp_path)])
    monkeypatch.setattr(
        families, "corridor", None, raising=False
    )  # the import sets it, the end of the test unsets it
    monkeypatch.setitem(FAMILIES, "corridor", FamilyEntry("corridor:", "corridor:N"))
    yield
    sys.modules.pop("actors.families.corridor", None)


@pytest.mark.usefixtures("corridor")
def test_a_family_is_one_file_and_one_line() -> None:
    suite = parse_suite("corridor:2")
    assert suite.task_names == ("corridor-0", "corridor-1")
    assert family_of(suite) is load_family("corridor")
    prepare_suite(suite, seed=1)
    env = make_environment("corridor-1", "corridor:2", seed=1)
    env.reset(options={"goal": 4})
    np.testing.assert_allclose(env.step(np.ones(1, np.float32))[0], [0.2, env.goals[4, 0]], rtol=1e-6)


@pytest.mark.usefixtures("corridor")
def test_its_tasks_are_rolled_out_and_evaluated(make_weights: MakeWeights) -> None:
    suite, environment = parse_suite("corridor:2"), EnvironmentConfig(observation_noise=0.1)
    weights = make_weights(num_tasks=2, obs_dim=2, action_dim=1)
    writer = RecordingWriter((0, 1))
    actors = ActorsConfig(envs_per_actor=1, chunk_steps=30)
    worker = RolloutWorker(
        Assignment(0, 0, suite, (0, 1), seed=1), actors, environment, writer, NewWeights(weights)
    )
    assert worker.collect_chunk() == 2
    assert [len(chunk.episodes) for chunk in writer.chunks] == [3, 3]
    assert writer.chunks[0].transitions.obs.std() > 0
    results = evaluate_suite(weights, suite, episodes=5, seed=1, environment=environment)
    assert [task.name for task in results] == ["corridor-0", "corridor-1"]


def test_every_family_has_its_line() -> None:
    files = {path.stem for path in Path(families.__path__[0]).glob("*.py")}
    assert files - {"__init__", "family"} == set(FAMILIES)
    for name in FAMILIES:
        assert isinstance(load_family(name), Family)


@pytest.mark.parametrize(
    ("text", "family"), [("mt10", "metaworld"), ("toy:2", "toy"), ("gym:Pendulum-v1", "gymnasium")]
)
def test_a_suite_names_its_family(text: str, family: str) -> None:
    assert {task.family for task in parse_suite(text).tasks} == {family}
