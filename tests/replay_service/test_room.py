"""The room of mapped files: what it comes to, that it is taken at the start, and a disk that fills up later."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from replay_service.plan import ReplayPlan
from replay_service.room import check_room, mapped_bytes
from replay_service.shard import Shard
from tests.small_disk import SmallDisk

MakePlan = Callable[..., ReplayPlan]
MakeDisk = Callable[..., SmallDisk]


def size_on_disk(directory: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in directory.rglob("*.npy"))


@pytest.mark.parametrize("shards", [1, 3])
def test_the_files_of_all_shards_take_the_computed_room_from_the_start(
    shards: int, make_plan: MakePlan, tmp_path: Path
) -> None:
    plan = make_plan(3, {"storage": "mapped", "capacity_per_task": 20_000, "num_shards": shards})
    for index in range(shards):
        Shard(index, plan, tmp_path)
    assert size_on_disk(tmp_path) == pytest.approx(mapped_bytes(plan), rel=0.01)
    assert size_on_disk(tmp_path) <= mapped_bytes(plan)


def test_files_of_an_earlier_version_take_their_room_when_they_are_opened(
    make_plan: MakePlan, tmp_path: Path
) -> None:
    plan = make_plan(1, {"storage": "mapped", "capacity_per_task": 20_000})
    Shard(0, plan, tmp_path).close()
    path = tmp_path / "shard-0" / "transitions.npy"
    sparse = path.with_suffix(".sparse")
    subprocess.run(["cp", "--sparse=always", path, sparse], check=True)
    assert sparse.stat().st_blocks * 512 < path.stat().st_size / 2, "the test needs a sparse file"
    sparse.rename(path)
    Shard(0, plan, tmp_path)
    assert path.stat().st_blocks * 512 >= path.stat().st_size


def test_files_of_all_shards_together_that_do_not_fit_are_refused_before_any_is_made(
    make_plan: MakePlan, tmp_path: Path, small_disk: MakeDisk
) -> None:
    plan = make_plan(4, {"storage": "mapped", "capacity_per_task": 5_000, "num_shards": 4})
    disk = small_disk(f"{mapped_bytes(plan) // 2}")  # two of the four would fit
    with pytest.raises(
        ValueError, match=r"must fit on the disk, got 0\.00\d+ GB for 4 shards .* lower replay"
    ):
        check_room(disk.path / "run" / "replay", plan)
    assert list(disk.path.iterdir()) == []
    disk.resize(f"{mapped_bytes(plan) + 100_000}")
    check_room(disk.path / "run" / "replay", plan)
    for index in range(4):
        Shard(index, plan, disk.path / "run" / "replay")
    check_room(disk.path / "run" / "replay", plan)  # what they have is not needed again


def test_a_shard_that_does_not_fit_is_refused(make_plan: MakePlan, small_disk: MakeDisk) -> None:
    plan = make_plan(1, {"storage": "mapped", "capacity_per_task": 50_000})
    disk = small_disk(f"{mapped_bytes(plan) // 2}")
    with pytest.raises(ValueError, match="must fit on the disk"):
        Shard(0, plan, disk.path)
    assert not list(disk.path.rglob("*.partial"))


ON_A_FULL_DISK = """
import sys
from pathlib import Path
import numpy as np
from replay_service.shard import Shard
from tests.replay_service.conftest import _chunk, _plan
from tests.small_disk import SmallDisk

path, stage = Path(sys.argv[1]), sys.argv[2]
plan = _plan(1, {"storage": "mapped", "capacity_per_task": 20_000})
shard = Shard(0, plan, path / "replay")
shard.set_insert_limit(0, 10**9)
print("open", flush=True)
sys.stdin.readline()
first = int(shard.stats().inserted[0])
for sequence in range(250):
    chunk = _chunk(0, 100, sequence, first=first + 100 * sequence, incarnation=int(stage))
    assert shard.insert(chunk, 0.0).status == "stored"
rows = shard.sample(np.array([[1000]]), 0, 10**9)
shard.update_priorities(rows.task_id, rows.key, np.ones(1000))
shard.flush()
print(int(shard.stats().inserted[0]), flush=True)
sys.stdin.readline()
"""


def test_a_disk_that_fills_up_later_harms_neither_an_open_shard_nor_one_that_is_started_again(
    tmp_path: Path, small_disk: MakeDisk
) -> None:
    """Without the room taken at the start the first process ends by SIGBUS in the middle of its inserts."""
    disk = small_disk("8m")
    for stage in (0, 1):  # the second finds the disk full at its start
        command = [sys.executable, "-c", ON_A_FULL_DISK, str(disk.path), str(stage)]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        assert process.stdin and process.stdout and process.stderr
        assert process.stdout.readline() == "open\n", process.stderr.read()
        disk.fill()
        process.stdin.write("\n")
        process.stdin.flush()
        told = process.stdout.readline()
        process.kill()
        assert process.wait(10) == -9, f"ended by itself with {process.returncode}: {process.stderr.read()}"
        assert told == f"{25_000 * (stage + 1)}\n", process.stderr.read()
