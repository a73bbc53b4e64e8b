"""Locks of a directory, also on a file system without them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from replay_service.file_lock import FileLock, is_locked

ROOT = Path(__file__).parents[2]
NO_FLOCK = "#include <errno.h>\nint flock(int file, int operation) { errno = ENOLCK; return -1; }\n"
HOLD = """
import sys
from pathlib import Path
from replay_service.file_lock import FileLock
try:
    lock = FileLock(Path(sys.argv[1]))
except BlockingIOError as error:
    print("in use:", error.strerror, flush=True)
else:
    print("held", lock.is_kept, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def without_flock(tmp_path: Path) -> dict[str, str]:
    """The environment of a process whose file systems all refuse flock, as an NFS without its lock service."""
    source, library = tmp_path / "no_flock.c", tmp_path / "no_flock.so"
    source.write_text(NO_FLOCK)
    try:
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this test needs a C compiler")
    return {**os.environ, "LD_PRELOAD": str(library)}


@pytest.fixture
def holder(tmp_path: Path, without_flock: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    process = hold(tmp_path / "lock", without_flock)
    assert process.stdout is not None and process.stdout.readline() == "held False\n"
    yield process
    process.kill()
    process.wait(10)


def hold(path: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLD, str(path)]
    return subprocess.Popen(
        command, env=environment, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def test_a_lock_is_one_process_s_until_it_is_released(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    assert lock.is_kept and is_locked(tmp_path / "lock")
    with pytest.raises(BlockingIOError):
        FileLock(tmp_path / "lock")
    for _ in range(2):
        lock.release()
    assert not is_locked(tmp_path / "lock")


def test_without_flock_a_live_process_of_this_machine_keeps_the_others_out(
    holder: subprocess.Popen[str], tmp_path: Path, without_flock: dict[str, str]
) -> None:
    second = hold(tmp_path / "lock", without_flock)
    assert second.communicate("\n", 60)[0] == f"in use: process {holder.pid} of this machine has it\n"


def test_without_flock_a_process_that_has_ended_keeps_nobody_out(
    holder: subprocess.Popen[str], tmp_path: Path, without_flock: dict[str, str]
) -> None:
    holder.kill()  # a zombie until it is waited for
    owner = json.loads((tmp_path / "lock").read_text())
    assert owner[1] == holder.pid
    second = hold(tmp_path / "lock", without_flock)
    assert second.communicate("\n", 60)[0] == "held False\n"


@pytest.mark.slow
def test_a_run_starts_and_resumes_on_a_file_system_without_flock(
    tmp_path: Path, without_flock: dict[str, str]
) -> None:
    stars_dist = [sys.executable, "-m", "stars_dist.cli"]
    launch = ["launch", "--suite", "toy:2", "--preset", "small", "--serial", "--steps", "2000"]
    run = str(tmp_path / "run")
    for command in ([*launch, "--run-dir", run], ["resume", run, "--steps", "2400"]):
        done = subprocess.run(
            [*stars_dist, *command], env=without_flock, cwd=ROOT, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
