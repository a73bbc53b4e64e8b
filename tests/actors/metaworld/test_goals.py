"""The goals are those of Meta-World's own benchmarks, and a file shares them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import metaworld
import numpy as np
import pytest

from actors.metaworld.benchmarks import benchmark_tasks
from actors.metaworld.goals import Goals, benchmark_goals
from actors.suites import parse_suite, prepare_suite


def metaworlds_goals(benchmark: metaworld.Benchmark) -> Goals:
    goals: dict[str, list[np.ndarray]] = {}
    for task in benchmark.train_tasks:
        goals.setdefault(task.env_name, []).append(pickle.loads(task.data)["rand_vec"])
    return {name: np.array(vectors) for name, vectors in goals.items()}


def write_zero_goals(path: Path, made_for: str) -> None:
    arrays: dict[str, Any] = {"made_for": np.array(made_for), "reach-v3": np.zeros((50, 6))}
    np.savez(path, **arrays)


def assert_equal_goals(ours: Goals, theirs: Goals) -> None:
    assert list(ours) == list(theirs)
    for name in theirs:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


@pytest.mark.parametrize("seed", [1, 42])
def test_mt10(seed: int) -> None:
    ours = benchmark_goals("mt10", benchmark_tasks("mt10"), seed)
    assert_equal_goals(ours, metaworlds_goals(metaworld.MT10(seed=seed)))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "cls"), [("mt25", metaworld.MT25), ("mt50", metaworld.MT50)])
def test_larger_benchmarks(name: str, cls: type[metaworld.MT50]) -> None:
    ours = benchmark_goals(name, benchmark_tasks(name), 3)
    assert_equal_goals(ours, metaworlds_goals(cls(seed=3)))


def test_a_list_of_tasks_has_each_tasks_own_goals() -> None:
    ours = benchmark_goals("mt1", ("push-v3", "door-open-v3"), 5)
    assert_equal_goals({"push-v3": ours["push-v3"]}, metaworlds_goals(metaworld.MT1("push-v3", seed=5)))
    assert_equal_goals(
        {"door-open-v3": ours["door-open-v3"]}, metaworlds_goals(metaworld.MT1("door-open-v3", seed=5))
    )


def test_the_global_random_state_is_left_alone() -> None:
    before = pickle.dumps(np.random.get_state())  # noqa: NPY002 - the state that Meta-World itself would use
    benchmark_goals("mt1", ("window-open-v3",), 12)
    assert pickle.dumps(np.random.get_state()) == before  # noqa: NPY002


def test_a_file_keeps_the_goals(tmp_path: Path) -> None:
    path = tmp_path / "cache" / "goals.npz"
    prepare_suite(parse_suite("reach-v3,drawer-close-v3"), 2, path)
    with np.load(path) as kept:
        assert set(kept.files) == {"made_for", "reach-v3", "drawer-close-v3"}
    # Goals that no computation would give show that they are read from the file.
    write_zero_goals(path, "mt1 2")
    assert not benchmark_goals("mt1", ("reach-v3",), 2, path)["reach-v3"].any()
    # A task that the file lacks is added to it.
    assert benchmark_goals("mt1", ("drawer-close-v3",), 2, path)["drawer-close-v3"].shape == (50, 3)
    with np.load(path) as kept:
        assert not kept["reach-v3"].any()
        assert "drawer-close-v3" in kept.files
    assert [file.name for file in path.parent.iterdir()] == ["goals.npz"]


@pytest.mark.parametrize("made_for", ["mt10 2", "mt1 3"])
def test_a_file_of_other_goals_is_refused(tmp_path: Path, made_for: str) -> None:
    path = tmp_path / "goals.npz"
    write_zero_goals(path, made_for)
    with pytest.raises(ValueError, match=f"mt1 and seed 2.*'{made_for}'"):
        benchmark_goals("mt1", ("reach-v3",), 2, path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip file", b"no goals"])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "goals.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"readable, got .*goals\.npz"):
        benchmark_goals("mt1", ("reach-v3",), 2, path)


def test_a_task_outside_the_benchmark_is_refused() -> None:
    with pytest.raises(ValueError, match="benchmark mt10, got 'push-v4', did you mean 'push-v3'"):
        benchmark_goals("mt10", ("push-v4",), 1)
