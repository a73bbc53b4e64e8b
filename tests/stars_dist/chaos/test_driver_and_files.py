"""Faults to driver, disk and files of a real serial run, which needs no Ray: killed, rolled back, resumed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stars_dist.chaos.audit import learner_failures, metrics_failures
from stars_dist.chaos.file_strikes import fill_disk, roll_back
from stars_dist.chaos.injection import Injection
from stars_dist.chaos.nodes import Nodes
from stars_dist.chaos.observations import Observations
from stars_dist.chaos.run_processes import RunProcesses
from stars_dist.chaos.run_strikes import kill_driver, pause
from stars_dist.chaos.scene import Scene
from stars_dist.chaos.schedule import KINDS, Fault
from stars_dist.chaos.small_disk import SmallDisk
from stars_dist.chaos.stored_transitions import audit_transitions
from stars_dist.chaos.strike import NoVictimError, Strike
from stars_dist.chaos.training import Training
from stars_dist.run_files.directory import RunDirectory

OPTIONS = [
    "--suite",
    "toy:2",
    "--preset",
    "laptop",
    "--serial",
    "--steps",
    "10000000",
    "--checkpoint-every",
    "400",
]
SETTINGS = [
    "replay.warmup_steps_per_task=100",
    "replay.capacity_per_task=50000",
    "sampling.batch_size_per_task=8",
    "network.actor_hidden=[16]",
    "network.critic_hidden=[16]",
]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    acknowledged, copies = tmp_path / "acknowledged", tmp_path / "copies"
    copies.mkdir()
    disk = SmallDisk(tmp_path / "disk", 2**29)
    run = RunDirectory(disk.path / "run")
    settings = [*SETTINGS, f"replay.acknowledgement_log={acknowledged}"]
    options = OPTIONS + [part for text in settings for part in ("--set", text)]
    training = Training(run.path, tmp_path / "output.log", options, {})
    seen = Observations(run, acknowledged)
    scene = Scene(training, run, RunProcesses(), seen, disk, Nodes(0, disk.path, tmp_path / "ray"), copies)
    scene.processes.follow(training.launch())
    yield scene
    if training.exit_code is None:
        training.kill()
    disk.close(keep=False)


def fault(name: str, hold_s: float = 0.0) -> Fault:
    (kind,) = [kind for kind in KINDS if kind.name == name]
    return Fault(1, 0.0, kind, hold_s, 0.6)


class Watcher:
    """Follows one strike after the other."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.injection = Injection(scene, print)

    def wait_for(self, condition: Callable[[], object], timeout_s: float = 200) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            self.injection.poll()
            assert time.monotonic() < deadline, self.scene.training.last_words()

    def survive(self, strike: Strike) -> None:
        self.injection.strikes.append(strike)
        self.wait_for(lambda: strike.survived_at)

    def go_on(self) -> None:
        """Wait until the run has two checkpoints and a few hundred steps more."""
        self.wait_for(lambda: self.scene.seen.metrics and len(self.scene.whole_checkpoints) >= 2)
        steps = self.scene.seen.metrics[-1].env_steps
        self.wait_for(lambda: self.scene.seen.metrics[-1].env_steps > steps + 400)


@pytest.mark.chaos
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_serial_run_survives_its_drivers_deaths_and_files_of_before_and_the_audit_knows_what_went_with_them(
    scene: Scene,
) -> None:
    watcher = Watcher(scene)
    watcher.go_on()
    with pytest.raises(NoVictimError):
        roll_back(scene, fault("roll back replay"))
    watcher.survive(kill_driver(scene, fault("kill driver")))
    watcher.go_on()
    watcher.survive(roll_back(scene, fault("roll back provenance")))
    watcher.survive(roll_back(scene, fault("roll back replay")))
    watcher.go_on()
    watcher.survive(roll_back(scene, fault("roll back checkpoint")))
    watcher.survive(pause(scene, fault("pause driver", 3.0)))
    assert watcher.injection.failures == []
    scene.training.interrupt()
    assert scene.training.driver.wait(60) == 130
    transitions = audit_transitions(scene.run.replay, scene.copies.parent / "acknowledged", scene.roll_backs)
    assert (transitions.lost, transitions.duplicates) == (0, 0)
    assert transitions.rolled_back > 0
    assert list(learner_failures(scene.seen.metrics, scene.floors)) == []
    assert list(metrics_failures(scene.run.metrics_file, scene.pauses, 10.0)) == []


@pytest.mark.chaos
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_serial_run_survives_a_disk_that_is_full_for_a_while(scene: Scene) -> None:
    if not scene.disk.is_mounted:
        pytest.skip("this test needs the right to mount")
    watcher = Watcher(scene)
    watcher.go_on()
    watcher.survive(fill_disk(scene, fault("fill disk", 8.0)))
    assert watcher.injection.failures == []
    assert len(scene.full_disk) == 1
