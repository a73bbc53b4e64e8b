"""Failures: whose they are, how long the next start waits, and when the run gives up. No Ray runs."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
import ray.exceptions

from learner.finite_guard import NonFiniteLossError
from replay_service.transport import ShardUnavailable
from stars_dist.cluster.failures import MAX_OUTAGES, Blame, FailureLog, blame_of
from stars_dist.cluster.running_clock import RunningClock
from stars_dist.errors import RunFailedError


def raised(cause: Exception) -> ray.exceptions.RayTaskError:
    """What ray.get raises for a process that raised this."""
    return ray.exceptions.RayTaskError("run", "Traceback ...", cause)


@pytest.mark.parametrize(
    ("error", "blame"),
    [
        (raised(OSError(errno.ENOSPC, "No space left on device")), "infrastructure"),
        (
            raised(RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed")),
            "infrastructure",
        ),
        (
            raised(RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 704 vs 598")),
            "infrastructure",
        ),
        (raised(ray.exceptions.ObjectLostError("0" * 56, None, "")), "infrastructure"),
        (raised(ray.exceptions.GetTimeoutError("ten seconds")), "infrastructure"),
        (raised(ShardUnavailable("shard 0 is restarting")), "infrastructure"),
        (raised(raised(OSError(errno.ENOSPC, "full"))), "infrastructure"),
        (ray.exceptions.ActorUnavailableError("gone for now", None), "infrastructure"),
        (raised(NonFiniteLossError("critic loss of reach-v3")), "hopeless"),
        (raised(AssertionError("an invariant")), "hopeless"),
        (raised(ValueError("no shape")), "hopeless"),
        (raised(TimeoutError("no batch within learner.stall_timeout_s")), "hopeless"),
        (raised(RuntimeError("CUDA error: unspecified launch failure")), "process"),
        (raised(FileNotFoundError(errno.ENOENT, "no such file")), "process"),
        (ray.exceptions.ActorDiedError(), "process"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_whose_failure_it_is(error: Exception, blame: Blame) -> None:
    assert blame_of(error) == blame


def test_what_torch_raises_on_a_full_disk_is_an_outage() -> None:
    import torch

    with pytest.raises(RuntimeError) as found:
        torch.save({"weights": torch.zeros(100_000)}, "/dev/full")
    assert isinstance(found.value, RuntimeError)
    assert blame_of(raised(found.value)) == "infrastructure"


@pytest.fixture
def clock() -> RunningClock:
    return RunningClock()


@pytest.fixture
def failures(tmp_path: Path, clock: RunningClock) -> FailureLog:
    return FailureLog("actor 3 (toy-1)", tmp_path / "failures.log", clock)


def test_an_outage_is_waited_for_longer_and_longer_but_not_for_ever(failures: FailureLog) -> None:
    waits = [failures.record("OSError: disk full", "", i, "infrastructure") for i in range(MAX_OUTAGES - 1)]
    assert waits == sorted(waits) and waits[0] == 0 and waits[-1] == 60.0
    assert sum(waits) > 120, "an outage of two minutes is no end of a run"
    with pytest.raises(
        RunFailedError, match=r"actor 3 \(toy-1\) failed 10 times in a row: OSError: disk full; log "
    ):
        failures.record("OSError: disk full", "", MAX_OUTAGES, "infrastructure")


def test_outages_and_failures_of_its_own_do_not_add_up(failures: FailureLog) -> None:
    for i in range(5):
        failures.record("OSError: disk full", "", i, "infrastructure")
    assert failures.record("RuntimeError: once", "", 5) == 0.0


def test_a_disk_that_stays_full_ends_the_run_though_each_try_learns_up_to_the_checkpoint(
    failures: FailureLog,
) -> None:
    with pytest.raises(RunFailedError, match="failed 10 times in a row"):
        for i in range(MAX_OUTAGES):
            failures.record_progress(is_new=False)
            failures.record("OSError: disk full", "", i, "infrastructure")


def test_ten_failures_of_one_kind_in_ten_minutes_end_the_run_in_spite_of_progress(
    failures: FailureLog, clock: RunningClock
) -> None:
    for i in range(9):
        failures.record(f"ValueError: after {i} steps", "", i)
        failures.record_progress()
        clock.now += 30.0
    failures.record("KeyError: another kind", "", 9)
    failures.record_progress()
    with pytest.raises(RunFailedError, match="failed 10 times in 10 minutes: ValueError: after 9 steps; log"):
        failures.record("ValueError: after 9 steps", "", 10)


def test_hangs_are_of_one_kind_however_long_and_wherever_they_were(failures: FailureLog) -> None:
    with pytest.raises(RunFailedError, match="failed 10 times in 10 minutes: no answer for 69 s"):
        for i in range(10):
            failures.record(f"no answer for {60 + i} s from the step of an environment of toy-{i}", "", i)
            failures.record_progress()


def test_one_failure_in_two_minutes_goes_on_for_ever(failures: FailureLog, clock: RunningClock) -> None:
    for i in range(100):
        failures.record("no answer for 61 s", "", i)
        failures.record_progress()
        clock.now += 120.0


def test_twenty_kills_with_progress_in_between_end_nothing(failures: FailureLog, clock: RunningClock) -> None:
    for i in range(20):
        failures.record("its process died", "", i)
        failures.record_progress()
        clock.now += 5.0


def test_a_full_disk_does_not_keep_a_failure_from_being_counted(tmp_path: Path, clock: RunningClock) -> None:
    failures = FailureLog("learner", tmp_path / "no-such-directory" / "failures.log", clock)
    assert failures.record("OSError: disk full", "", 0, "infrastructure") == 0.0
