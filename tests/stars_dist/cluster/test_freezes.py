"""Frozen processes (SIGSTOP) of distributed runs: every kind is found, named, killed and started again."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.stars_dist.cluster.test_actors import Run, start
from tests.stars_dist.test_training import metrics

__all__ = ["start"]

TOY = ["--suite", "toy:2", "--actors", "2", "--steps", "1000000"]
# The deadline of services and learner; heartbeats' is shortened by QUICK.
SOON = ["--set", "answer_timeout_s=8"]


def goes_on(run: Run) -> None:
    """Wait until every task has two hundred transitions more, and the learner a hundred updates."""
    before, steps = run.inserted(), metrics(run.path)[-1]["learner_steps"]
    run.wait_for(lambda: (run.inserted() > before + 200).all())
    run.wait_for(lambda: metrics(run.path)[-1]["learner_steps"] > steps + 100)


@pytest.mark.cluster
@pytest.mark.chaos
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_each_kind_of_process_that_freezes_is_found_killed_and_started_again(
    start: Callable[..., Run],
) -> None:
    run = start(*TOY, "--checkpoint-every", "400", *SOON)
    run.wait_for(lambda: run.inserted().min() > 400)
    run.wait_for(lambda: any((run.path / "checkpoints").glob("step-*")))
    for kind, name in [
        ("Coordinator", "coordinator is frozen (no answer for"),
        ("Shard", "shard 0 is frozen (no answer for"),
        ("LearnerProcess", "learner is frozen (no answer for"),
        ("RolloutProcess", "hangs (no answer for"),
    ]:
        (victim, *_) = run.processes(kind)
        victim.suspend()
        frozen_at = time.monotonic()
        run.wait_for(lambda name=name: name in run.output, 60)
        found_s = time.monotonic() - frozen_at
        run.wait_for(lambda victim=victim: not victim.is_running(), 30)
        goes_on(run)
        print(f"{kind}: found after {found_s:.1f} s, going on after {time.monotonic() - frozen_at:.1f} s")
    last = metrics(run.path)[-1]
    assert {name: last[f"perf/restarts/{name}"] for name in ("coordinator", "shard", "learner", "actor")} == {
        "coordinator": 1,
        "shard": 1,
        "learner": 1,
        "actor": 1,
    }


@pytest.fixture
def marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that the environments of hanging_environment look at."""
    monkeypatch.setenv("HANG_MARKER", str(tmp_path / "marker"))
    monkeypatch.setenv("PYTHONPATH", f"{Path(__file__).parent}:{Path(__file__).parents[3]}")
    return tmp_path / "marker"


@pytest.mark.cluster
@pytest.mark.slow
def test_an_actor_that_freezes_before_its_first_heartbeat_is_started_again(
    start: Callable[..., Run], marker: Path
) -> None:
    suite = ["--suite", "gym:hanging_environment:FreezesOnce-v0,Pendulum-v1", "--actors", "2"]
    patch = "import stars_dist.cluster.deadlines as d; d.ACTOR_START_S = 20.0; d.SLOW_START_S = 10.0"
    run = start(*suite, "--steps", "1000000", patch=patch)
    run.wait_for(lambda: "has not answered 1" in run.output)
    run.wait_for(lambda: "hangs (no answer 2" in run.output)
    run.wait_for(lambda: len(run.inserted()) == 2 and run.inserted().min() > 200)
    assert marker.exists(), "the first start has frozen"


@pytest.mark.cluster
@pytest.mark.slow
def test_a_run_that_gives_up_over_an_actor_saves_its_learner_and_says_what_to_do(
    start: Callable[..., Run], marker: Path
) -> None:
    suite = ["--suite", "gym:hanging_environment:FailsOnceMarked-v0", "--actors", "1"]
    run = start(*suite, "--steps", "1000000", "--checkpoint-every", "900000")
    run.wait_for(lambda: run.inserted().min() > 400 and metrics(run.path)[-1]["learner_steps"] > 50)
    steps = metrics(run.path)[-1]["learner_steps"]
    assert not any((run.path / "checkpoints").glob("step-*"))
    marker.touch()
    assert run.process.wait(120) == 1
    (checkpoint,) = (run.path / "checkpoints").glob("step-*")
    assert int(checkpoint.name.removeprefix("step-")) >= steps
    (line,) = [line for line in run.output.splitlines() if line.startswith("error: ")]
    assert line.startswith(
        "error: actor 0 (hanging_environment:FailsOnceMarked-v0) failed 3 times in a row: Environment"
    )
    assert "the simulation blew up; log " in line and line.endswith(
        f"then: STARS_DIST_ALLOW_IMPORTS=hanging_environment stars-dist resume {run.path}"
    )


@pytest.mark.cluster
@pytest.mark.chaos
@pytest.mark.slow
def test_a_driver_that_was_stopped_for_longer_than_every_deadline_blames_nobody(
    start: Callable[..., Run],
) -> None:
    run = start(*TOY, *SOON, patch="import stars_dist.cluster.deadlines as d; d.SLOW_START_S = 8.0")
    run.wait_for(lambda: run.inserted().min() > 400)
    run.process.suspend()
    time.sleep(25.0)
    run.process.resume()
    run.wait_for(lambda: "this program itself stood still for" in run.output, 30)
    goes_on(run)
    assert not any(name.startswith("perf/restarts") for name in metrics(run.path)[-1]), run.output


@pytest.mark.cluster
@pytest.mark.chaos
@pytest.mark.slow
def test_a_whole_run_that_was_suspended_goes_on_and_blames_nobody(start: Callable[..., Run]) -> None:
    """As Slurm suspends a job: driver, Ray and every process of the run stop and go on together."""
    run = start(*TOY, *SOON)
    run.wait_for(lambda: run.inserted().min() > 400)
    everybody = [run.process, *run.process.children(recursive=True)]
    for process in everybody:
        process.send_signal(signal.SIGSTOP)
    time.sleep(25.0)
    for process in everybody:
        process.send_signal(signal.SIGCONT)
    run.wait_for(lambda: "this program itself stood still for" in run.output, 30)
    goes_on(run)
    assert not any(name.startswith("perf/restarts") for name in metrics(run.path)[-1]), run.output
