"""Checkpoints resume bit for bit, appear whole or not at all, and are refused when damaged or foreign."""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from actors.checkpoint_path import checkpoint_path, checkpoint_paths
from actors.policy import load_policy
from learner.checkpoint import (
    CheckpointError,
    copy_learner,
    read_checkpoint,
    restore_learner,
    weights_hash,
    write_checkpoint,
    write_copy,
)
from learner.sac import SacLearner
from learner.update_mode import UpdateMode
from tests.learner.conftest import METHODS, OBS_DIM, method_config

GROUP_SIZES = (3, 4, 3)


def _train(learner: SacLearner, make_batch: Callable, updates: int) -> list[float]:
    start = learner.learner_steps
    return [
        float(learner.update(make_batch(GROUP_SIZES, seed=start + i)).critic.loss) for i in range(updates)
    ]


def _write(run: Path, learner: SacLearner, keep_last: int = 3) -> Path:
    return write_checkpoint(run, learner, "toy:3", {"env_steps": 70}, keep_last)


@pytest.fixture
def two(tmp_path: Path, make_learner: Callable, make_batch: Callable) -> tuple[Path, Path]:
    """An older and a newer checkpoint of one run."""
    learner = make_learner()
    _train(learner, make_batch, 1)
    older = _write(tmp_path, learner)
    _train(learner, make_batch, 1)
    return older, _write(tmp_path, learner)


@pytest.mark.parametrize("method", METHODS)
def test_continues_bit_for_bit(
    method: str, tmp_path: Path, make_learner: Callable, make_batch: Callable
) -> None:
    learner = make_learner(method_config(method))
    _train(learner, make_batch, 3)
    path = _write(tmp_path, learner)
    expected = _train(learner, make_batch, 4)
    other = make_learner(method_config(method), seed=99)
    assert restore_learner(other, path) == {"env_steps": 70}
    assert other.learner_steps == 3
    assert _train(other, make_batch, 4) == expected
    assert torch.equal(other.generator.get_state(), learner.generator.get_state())
    for name, value in learner.actor.state_dict().items():
        assert torch.equal(other.actor.state_dict()[name], value)
    assert torch.equal(other.log_alpha, learner.log_alpha)


def test_policy_file_is_the_checkpoint_s_policy(two: tuple[Path, Path]) -> None:
    policy = load_policy(two[1])
    assert policy.metadata.version == 2 and policy.metadata.suite == "toy:3"
    assert policy.act([0.0] * OBS_DIM, task="task-1").shape == (2,)


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


DAMAGE = {"flipped bit": _flip, "truncated": _truncate, "missing": Path.unlink}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
@pytest.mark.parametrize("name", ["learner.pt", "policy.npz", "state.json"])
def test_damage_is_refused_and_the_previous_offered(
    name: str, damage: Callable[[Path], None], two: tuple[Path, Path]
) -> None:
    older, newer = two
    damage(newer / name)
    with pytest.raises(CheckpointError) as error:
        read_checkpoint(newer)
    assert str(newer / name) in str(error.value)
    assert str(error.value).endswith(f"whole: {older}")
    assert read_checkpoint(older).state == {"env_steps": 70}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_damaged_manifest_is_no_checkpoint(damage: Callable[[Path], None], two: tuple[Path, Path]) -> None:
    damage(two[1] / "manifest.json")
    with pytest.raises(CheckpointError):
        read_checkpoint(two[1])


def test_a_damaged_checkpoint_is_not_offered(two: tuple[Path, Path]) -> None:
    for path in two:
        _flip(path / "learner.pt")
    with pytest.raises(CheckpointError, match="no other whole checkpoint"):
        read_checkpoint(two[1])


def test_foreign_directory_and_format(two: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is no checkpoint of this project"):
        read_checkpoint(tmp_path)
    manifest = two[1] / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format": 99}))
    with pytest.raises(CheckpointError, match="format 99 and this version reads format 1"):
        read_checkpoint(two[1])


@pytest.mark.parametrize("method", ["mtsac", "stars-wider", "more-tasks"])
def test_checkpoint_of_other_networks(method: str, two: tuple[Path, Path], make_learner: Callable) -> None:
    if method == "stars-wider":
        learner = make_learner(method_config("stars").model_copy(update={"actor_hidden": (20, 12)}))
    else:
        learner = make_learner(*([method_config(method)] if method == "mtsac" else []), num_tasks=4)
    with pytest.raises(CheckpointError, match="other networks or tasks"):
        restore_learner(learner, two[1])


def test_code_in_a_checkpoint_is_not_run(two: tuple[Path, Path], tmp_path: Path) -> None:
    class Payload:
        def __reduce__(self) -> tuple[Callable, tuple[str]]:
            return (Path.touch, (tmp_path / "owned",))  # pyright: ignore[reportReturnType]

    torch.save({"actor": Payload()}, two[1] / "learner.pt")
    manifest = json.loads((two[1] / "manifest.json").read_text())
    manifest["sha256"]["learner.pt"] = hashlib.sha256((two[1] / "learner.pt").read_bytes()).hexdigest()
    (two[1] / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match="does not load"):
        read_checkpoint(two[1])
    assert not (tmp_path / "owned").exists()


def test_keeps_the_newest_in_order_of_steps(
    tmp_path: Path, make_learner: Callable, make_batch: Callable
) -> None:
    learner = make_learner()
    for steps in (2, 9, 10, 11):
        learner.learner_steps = steps
        _write(tmp_path, learner, keep_last=3)
    assert [path.name for path in checkpoint_paths(tmp_path)] == ["step-9", "step-10", "step-11"]
    assert checkpoint_paths(tmp_path)[-1] == checkpoint_path(tmp_path, 11)


def test_a_damaged_one_of_a_higher_number_does_not_push_out_what_was_written(
    tmp_path: Path, make_learner: Callable
) -> None:
    learner = make_learner()
    for steps in (2, 90, 9, 10):
        learner.learner_steps = steps
        path = _write(tmp_path, learner, keep_last=1)
        assert read_checkpoint(path).learner["learner_steps"] == steps
    assert [path.name for path in checkpoint_paths(tmp_path)] == ["step-10", "step-90"]


def test_no_checkpoint_yet(tmp_path: Path) -> None:
    assert checkpoint_paths(tmp_path) == []


def test_a_write_that_fails_leaves_no_checkpoint(tmp_path: Path, make_learner: Callable) -> None:
    learner = make_learner()
    with pytest.raises(ValueError, match="JSON"):
        write_checkpoint(tmp_path, learner, "toy:3", {"env_steps": float("nan")}, 3)
    assert checkpoint_paths(tmp_path) == []
    path = _write(tmp_path, learner)  # and cleans up after it
    assert list(path.parent.iterdir()) == [path]


def test_same_step_is_written_anew(tmp_path: Path, make_learner: Callable) -> None:
    learner = make_learner()
    _write(tmp_path, learner)
    path = write_checkpoint(tmp_path, learner, "toy:3", {"env_steps": 71}, 3)
    assert read_checkpoint(path).state == {"env_steps": 71}


def test_a_copied_checkpoint_can_be_read_anywhere(two: tuple[Path, Path], tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(two[1], elsewhere)
    assert read_checkpoint(elsewhere).learner["learner_steps"] == 2


@pytest.mark.parametrize(("writer", "reader"), [("eager", "static"), ("static", "eager")])
def test_loads_in_the_other_mode_and_with_a_random_state_of_the_other_kind_of_device(
    writer: str, reader: str, tmp_path: Path, make_learner: Callable, make_batch: Callable
) -> None:
    """A GPU's generator has a state of 16 bytes, a CPU's of thousands; step sizes are tensors in one mode alone."""

    def learner(mode: str, seed: int) -> SacLearner:
        eager = make_learner(seed=seed)
        if mode == "eager":
            return eager
        parts = (eager.network, eager.sac, eager.spec, eager.task_names, eager.device)
        return SacLearner(*parts, seed, UpdateMode(rows_per_task=16, inner_multiple=8))

    first = learner(writer, 0)
    first.update(make_batch((3, 1, 4)))
    state = first.state_dict() | {"generator": torch.zeros(16, dtype=torch.uint8)}
    torch.save(state, tmp_path / "learner.pt")
    loaded = torch.load(tmp_path / "learner.pt", weights_only=True)
    second, third = learner(reader, 0), learner(reader, 0)
    for other in (second, third):
        other.load_state_dict(copy.deepcopy(loaded))  # an optimizer takes its tensors over
        assert weights_hash(other) == weights_hash(first)
        other.anneal(0.0)
        other.update(make_batch((3, 1, 4), seed=1))
    assert weights_hash(second) == weights_hash(third) != weights_hash(first)
    assert second.learner_steps == 2


@pytest.mark.parametrize("name", ["../../../secret", "/etc/hostname"])
def test_a_manifest_names_no_file_elsewhere(name: str, two: tuple[Path, Path]) -> None:
    manifest = json.loads((two[1] / "manifest.json").read_text())
    manifest["sha256"][name] = "0" * 64
    (two[1] / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match=f"names {name}, which is no file of the checkpoint"):
        read_checkpoint(two[1])


def test_other_files_are_checked_too(tmp_path: Path, make_learner: Callable) -> None:
    def add_files(directory: Path) -> None:
        (directory / "serial").mkdir()
        (directory / "serial" / "rows.npy").write_bytes(b"rows")

    copy = copy_learner(make_learner(), "toy:3", {"env_steps": 7})
    path = write_copy(tmp_path, copy, 3, add_files)
    assert read_checkpoint(path).state == {"env_steps": 7}
    (path / "serial" / "rows.npy").write_bytes(b"torn")
    with pytest.raises(CheckpointError, match=r"serial/rows\.npy is damaged"):
        read_checkpoint(path)
