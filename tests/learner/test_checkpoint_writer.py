"""Checkpoints are written in a thread from a copy, one at a time, and what a write raises is raised."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from learner.checkpoint import copy_learner, read_checkpoint, write_copy
from learner.checkpoint_writer import CheckpointWriter
from replay_service.full_disk import is_full_disk
from tests.small_disk import SmallDisk


class SlowDisk:
    """Writes wait until they are let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.written: list[int] = []

    def write(self, copy: int) -> bool:
        assert self.go.wait(30)
        self.written.append(copy)
        return True


def test_updates_go_on_while_a_copy_is_written() -> None:
    disk, steps = SlowDisk(), [1]
    writer = CheckpointWriter(lambda: steps[0], disk.write)
    writer.save()
    steps[0] = 2  # the learner goes on
    writer.check()
    assert disk.written == []
    disk.go.set()
    writer.save()
    writer.settle()
    assert disk.written == [1, 2]


def test_one_copy_at_a_time() -> None:
    disk, copied = SlowDisk(), []
    writer = CheckpointWriter(lambda: copied.append(len(copied)), disk.write)
    writer.save()
    second = threading.Thread(target=writer.save)
    second.start()
    second.join(0.2)
    assert second.is_alive() and copied == [0]
    disk.go.set()
    second.join(30)
    writer.settle()
    assert copied == [0, 1]


@pytest.mark.parametrize("call", ["check", "save", "settle"])
def test_the_error_of_a_write_is_raised_once(call: str) -> None:
    def fail(copy: None) -> bool:
        raise OSError(28, "No space left on device")

    writer = CheckpointWriter(lambda: None, fail)
    writer.save()
    while (writing := writer._writing) is not None and not writing.done():
        pass
    with pytest.raises(OSError, match="No space left"):
        getattr(writer, call)()
    writer.check()
    writer.settle()


def test_a_copy_is_the_learner_of_its_moment(
    tmp_path: Path, make_learner: Callable, make_batch: Callable
) -> None:
    learner = make_learner()
    learner.update(make_batch((3, 4, 3), seed=1))
    copy = copy_learner(learner, "toy:3", {"env_steps": 7})
    before = {name: tensor.clone() for name, tensor in learner.actor.state_dict().items()}
    learner.update(make_batch((3, 4, 3), seed=2))
    checkpoint = read_checkpoint(write_copy(tmp_path, copy, keep_last=3))
    assert checkpoint.path.name == "step-1" and checkpoint.learner["learner_steps"] == 1
    assert all(torch.equal(checkpoint.learner["actor"][name], before[name]) for name in before)


def test_what_a_full_disk_refused_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("learner.checkpoint_writer.RETRY_S", 0.0)
    has_room, tried, steps = threading.Event(), list[int](), [1]

    def write(copy: int) -> bool:
        tried.append(copy)
        return has_room.is_set()

    writer = CheckpointWriter(lambda: steps[0], write)
    writer.save()
    assert not writer.settle()
    steps[0] = 2
    writer.save()  # the newest copy takes the place of the one before
    assert not writer.settle()
    assert set(tried[-2:]) == {2}
    has_room.set()
    writer.check()  # begins it anew, after an update
    assert writer.settle() and tried[-1] == 2
    before = len(tried)
    writer.check()
    assert writer.settle() and len(tried) == before


def test_a_refused_checkpoint_leaves_the_room_to_others(
    make_learner: Callable, small_disk: Callable[..., SmallDisk]
) -> None:
    disk = small_disk("16k")
    copy = copy_learner(make_learner(), "toy:3", {})
    with pytest.raises((OSError, RuntimeError)) as refused:
        write_copy(disk.path, copy, 3)
    assert is_full_disk(refused.value)
    assert list((disk.path / "checkpoints").iterdir()) == []
    disk.resize("100m")
    assert read_checkpoint(write_copy(disk.path, copy, 3)).learner["learner_steps"] == copy.learner_steps
