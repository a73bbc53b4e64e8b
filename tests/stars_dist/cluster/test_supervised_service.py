"""A service behind a stable handle, on a Ray cluster of this machine: frozen, frozen at its start, never built."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stars_dist.cluster import failures, supervised_service
from stars_dist.cluster.deadlines import Deadlines
from stars_dist.cluster.running_clock import RunningClock
from stars_dist.cluster.supervised_service import SupervisedService
from stars_dist.errors import RunFailedError

LIMITS = Deadlines(start_s=4.0, answer_s=2.0, progress_s=float("inf"))
PATIENT = Deadlines(start_s=600.0, answer_s=20.0, progress_s=float("inf"))


class Service:
    """Answers with its process id; `trouble` is what its first process meets while it is built."""

    def __init__(self, marker: Path, trouble: str = "") -> None:
        if trouble == "raises":
            raise ValueError("storage must be of this run, got another's")
        if trouble == "dies" or (trouble == "dies once" and not marker.exists()):
            marker.touch()
            os._exit(1)
        if trouble == "freezes" and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGSTOP)
        if trouble == "restarts slowly" and marker.exists():
            time.sleep(4.0)
        if trouble == "restarts slowly":
            marker.touch()

    def pid(self) -> int:
        return os.getpid()


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    import ray

    ray.init(address="local", include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def supervise(
    directory: Path, trouble: str = "", limits: Deadlines = LIMITS
) -> tuple[SupervisedService[int], RunningClock]:
    import ray

    remote: Any = ray.remote(Service).options(max_restarts=-1, num_cpus=0)  # type: ignore[call-overload]
    handle, clock = remote.remote(directory / "marker", trouble), RunningClock()
    file = directory / "failures.log"
    return SupervisedService("shard 0", handle, handle.pid.remote, 0.2, limits, file, clock), clock


def wait_for_answer(
    service: SupervisedService[int], clock: RunningClock, other_than: int | None = None
) -> tuple[int, list[str]]:
    """The next answer of another process than that, and the causes of the kills until then."""
    causes, deadline = [], time.monotonic() + 60
    while time.monotonic() < deadline:
        clock.tick()
        answer = service.advance()
        if answer is not None and answer != other_than:
            return answer, causes
        for cause in (service.died_at_start(), service.restart_if_overdue()):
            causes += [cause] if cause is not None else []
        time.sleep(0.1)
    raise AssertionError(f"no answer, killed for {causes}")


@pytest.mark.cluster
def test_a_frozen_service_is_killed_and_answers_again_behind_its_handle(
    cluster: None, tmp_path: Path
) -> None:
    service, clock = supervise(tmp_path)
    pid, causes = wait_for_answer(service, clock)
    assert causes == []
    os.kill(pid, signal.SIGSTOP)
    _, causes = wait_for_answer(service, clock, other_than=pid)
    # Ray takes some seconds over the kill, which the time to start must cover.
    assert causes[0] == "no answer for 2 s"
    assert "shard 0, incarnation 0: no answer for 2 s" in (tmp_path / "failures.log").read_text()


@pytest.mark.cluster
def test_a_service_that_died_has_the_time_of_a_start_to_come_back(cluster: None, tmp_path: Path) -> None:
    """A shard may read a snapshot then: to kill it for its silence would only begin that anew."""
    service, clock = supervise(tmp_path, "restarts slowly", Deadlines(40.0, 2.0, float("inf")))
    pid, _ = wait_for_answer(service, clock)
    os.kill(pid, signal.SIGKILL)
    _, causes = wait_for_answer(service, clock, other_than=pid)
    assert causes == []


@pytest.mark.cluster
def test_a_service_that_freezes_while_it_is_built_is_killed_and_built_again(
    cluster: None, tmp_path: Path
) -> None:
    service, clock = supervise(tmp_path, "freezes")
    _, causes = wait_for_answer(service, clock)
    assert causes[0] == "no answer 4 s after its start"


@pytest.mark.cluster
def test_a_service_that_cannot_be_built_ends_the_run_with_its_cause(cluster: None, tmp_path: Path) -> None:
    service, clock = supervise(tmp_path, "raises", PATIENT)
    with pytest.raises(
        RunFailedError, match="shard 0 failed: ValueError: storage must be of this run, got another's; log"
    ):
        wait_for_answer(service, clock)
    assert "incarnation 0: ValueError: storage must be" in (tmp_path / "failures.log").read_text()


@pytest.mark.cluster
def test_a_service_that_dies_at_each_start_is_told_and_ends_the_run(
    cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray starts it again every second or so, and the call in flight waits on."""
    monkeypatch.setattr(supervised_service, "LOOK_EVERY_S", 3.0)
    monkeypatch.setattr(failures, "MAX_OUTAGES", 2)
    service, clock = supervise(tmp_path, "dies", PATIENT)
    with pytest.raises(RunFailedError, match="shard 0 failed 2 times in a row: died before it answered"):
        wait_for_answer(service, clock)
    assert "shard 0, incarnation 0: died before it answered" in (tmp_path / "failures.log").read_text()


@pytest.mark.cluster
def test_a_service_that_dies_at_a_start_and_then_answers_counts_once_at_most(
    cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervised_service, "LOOK_EVERY_S", 0.5)
    monkeypatch.setattr(failures, "MAX_OUTAGES", 2)
    service, clock = supervise(tmp_path, "dies once", PATIENT)
    assert wait_for_answer(service, clock)[1] in ([], ["died before it answered"])
