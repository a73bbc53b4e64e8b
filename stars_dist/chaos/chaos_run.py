"""A chaos run: a real training, the faults of a schedule, and the audit of what is left."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

from actors.suites import parse_suite
from stars_dist.chaos.audit import (
    learner_failures,
    metrics_failures,
    ratio_failures,
    ratio_of,
    transition_failures,
)
from stars_dist.chaos.injection import POLL_S, Injection, Log
from stars_dist.chaos.nodes import Nodes
from stars_dist.chaos.observations import Observations
from stars_dist.chaos.result import ChaosResult
from stars_dist.chaos.run_processes import RunProcesses, title
from stars_dist.chaos.scene import Scene
from stars_dist.chaos.schedule import KINDS, Fault, draw_schedule
from stars_dist.chaos.small_disk import SmallDisk
from stars_dist.chaos.stored_transitions import audit_transitions
from stars_dist.chaos.training import Training
from stars_dist.run_files.directory import RunDirectory

START_S = 900.0  # to the first updates and two checkpoints
QUIET_S = 300.0  # after the last fault, to survive it and to come back to the ratio of updates to data
STOP_S = 180.0  # for the last checkpoint, after an interrupt
GONE_S = 15.0  # within which the processes of a run that has ended are gone
WRITING_AGAIN_S = 30.0  # after a pause or a full disk, to the next line of the metrics
DISK_BYTES = 2 * 2**30
STEPS = 100_000_000  # more than are made
# A small learner and short deadlines, checkpoints and chunks: what is tried are the processes, often.
SETTINGS: dict[str, object] = {
    "answer_timeout_s": 15,
    "actors.hang_timeout_s": 15,
    "actors.weights_poll_s": 0.5,
    "actors.chunk_steps": 25,
    "sampling.batch_size_per_task": 16,
    "network.actor_hidden": "[64, 64]",
    "network.critic_hidden": "[64, 64]",
    "replay.warmup_steps_per_task": 200,
    "replay.samples_per_insert": 8,
    "replay.capacity_per_task": 60_000,
    "checkpoint.every_env_steps": 1000,
    "evaluation.every_env_steps": 6000,
    "evaluation.episodes_per_task": 1,
}


class ChaosOptions(NamedTuple):
    """What a chaos run is asked to do."""

    suite: str
    minutes: float
    seed: int
    nodes: int
    run_dir: Path | None
    presets: Sequence[str]
    assignments: Sequence[str]


class ChaosRun:
    """Trains, strikes and audits. After `run` neither process nor mount of it is left."""

    def __init__(self, options: ChaosOptions, log: Log) -> None:
        self._options, self._log = options, log
        self._base = Path(tempfile.mkdtemp(prefix="sd-chaos-"))  # short, as Ray's sockets lie below it
        disk = SmallDisk(self._base / "disk", DISK_BYTES)
        run = RunDirectory(disk.path / "run")
        self._acknowledgements, copies = self._base / "acknowledged", self._base / "copies"
        for directory in (self._acknowledgements, copies):
            directory.mkdir()
        nodes = Nodes(options.nodes, disk.path, self._base / "ray")
        launch, address = self._launch_options(), ["--address", nodes.address]
        log_file = self._base / "output.log"
        training = Training(run.path, log_file, [*launch, *address], nodes.environment, address)
        seen = Observations(run, self._acknowledgements)
        self._scene = Scene(training, run, RunProcesses(), seen, disk, nodes, copies)
        self._injection = Injection(self._scene, log)
        self._notes: list[str] = []

    def run(self) -> ChaosResult:
        """Do it all.

        Raises:
            RuntimeError: the training did not start.
        """
        is_kept = False
        try:
            schedule = self._schedule()
            seconds = self._options.minutes * 60
            self._log(
                f"{len(schedule)} faults are drawn for {self._options.minutes:g} minutes; starting the training"
            )
            self._start()
            self._injection.strike_all(schedule, seconds)
            self._come_to_rest()
            failures = [*self._injection.failures, *self._stop()]
            result = self._audit(failures)
            is_kept = result.has_failed or self._options.run_dir is not None
            (self._base / "result.json").write_text(json.dumps(result.to_json(), indent=1) + "\n")
            (self._base / "result.txt").write_text(result.text() + "\n")
            return result
        finally:
            self._end_everything()
            self._put_away(is_kept)

    def _schedule(self) -> list[Fault]:
        kinds = [kind for kind in KINDS if kind.part != "node" or self._options.nodes]
        if not self._scene.disk.is_mounted:
            kinds = [kind for kind in kinds if kind.part != "disk"]
            self._notes.append("no disk was filled: a small one needs the right to mount")
        return draw_schedule(self._options.seed, self._options.minutes, kinds)

    def _start(self) -> None:
        scene, started = self._scene, time.monotonic()
        for process in scene.nodes.start_all():
            scene.processes.follow(process)
        scene.processes.follow(scene.training.launch())
        while len(scene.seen.checkpoints) < 2 or not scene.seen.learner_steps:
            time.sleep(POLL_S)
            scene.processes.look()
            scene.seen.poll(scene.training.new_lines())
            if scene.training.exit_code is not None or time.monotonic() > started + START_S:
                raise RuntimeError(
                    f"the training must start, its output ends with: {scene.training.last_words()}"
                )
        self._log(f"the training has two checkpoints {time.monotonic() - started:.0f} s after its start")

    def _come_to_rest(self) -> None:
        """Let the run survive the last faults and come back to its ratio of updates to data."""
        self._log("no more faults; the run may come to rest")
        deadline, plan = time.monotonic() + QUIET_S, self._scene.run.read_plan()
        while time.monotonic() < deadline and not self._injection.has_given_up:
            self._injection.poll()
            newest = self._scene.seen.metrics[-1]
            ratio = ratio_of(plan, newest.env_steps, newest.learner_steps)
            if not self._injection.open and ratio.off_rows <= plan.replay.error_buffer:
                return

    def _stop(self) -> Iterator[str]:
        """End the run as Ctrl-C does; tell where that fails."""
        training, seen = self._scene.training, self._scene.seen
        if training.exit_code is None:
            self._log("stopping the training as Ctrl-C does")
            training.interrupt()
        deadline = time.monotonic() + STOP_S
        while training.exit_code is None and time.monotonic() < deadline:
            seen.poll(training.new_lines())
            time.sleep(POLL_S)
        seen.poll(training.new_lines())
        if training.exit_code != 130 and not self._injection.has_given_up:
            yield f"Ctrl-C must end the run with 130, it was {training.exit_code}: {training.last_words()}"
        self._scene.nodes.stop_all()

    def _audit(self, failures: list[str]) -> ChaosResult:
        orphans = self._orphans()
        scene, strikes = self._scene, self._injection.strikes
        plan, newest = scene.run.read_plan(), scene.seen.metrics[-1]
        transitions = audit_transitions(scene.run.replay, self._acknowledgements, scene.roll_backs)
        # The last checkpoint and the tables: in a line of the metrics the two clocks are up to a second apart.
        ratio = ratio_of(plan, transitions.inserted, scene.newest_steps)
        in_flight = plan.replay.replay.max_unacknowledged_chunks * plan.num_tasks * plan.replay.chunk_steps
        failures = failures + [
            f"fault {s.fault.number}, {s.fault.kind.name}, {s.victim}: no progress after it"
            for s in strikes
            if s.survived_at is None
        ]
        failures += transition_failures(transitions, in_flight * (len(strikes) + 1))
        failures += learner_failures(scene.seen.metrics, scene.floors)
        failures += ratio_failures(ratio)
        excused = [*scene.pauses, *scene.full_disk]
        failures += metrics_failures(scene.run.metrics_file, excused, WRITING_AGAIN_S)
        failures += [f"process {process.pid} is left: {title(process)[:80]}" for process in orphans]
        notes = self._notes + self._injection.left_out
        clocks = newest.env_steps, newest.learner_steps
        return ChaosResult(strikes, transitions, ratio, len(orphans), failures, notes, *clocks)

    def _orphans(self) -> list[psutil.Process]:
        processes, deadline = self._scene.processes, time.monotonic() + GONE_S
        processes.look()
        while processes.alive and time.monotonic() < deadline:
            time.sleep(POLL_S)
            processes.look()
        return processes.alive

    def _end_everything(self) -> None:
        self._scene.nodes.stop_all()
        self._scene.processes.look()
        for process in self._scene.processes.alive:
            process.kill()

    def _put_away(self, is_kept: bool) -> None:
        self._scene.disk.close(keep=is_kept)
        shutil.rmtree(self._base / "copies", ignore_errors=True)
        wanted = self._options.run_dir
        if not is_kept:
            shutil.rmtree(self._base)
        elif wanted is not None:
            wanted.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(self._base, wanted)
        if is_kept:
            self._log(
                f"kept in {wanted or self._base}: the run, its output, what its actors noted, the result"
            )

    def _launch_options(self) -> list[str]:
        num_tasks = len(parse_suite(self._options.suite).tasks)
        settings = SETTINGS | {
            "replay.acknowledgement_log": str(self._acknowledgements),
            "replay.num_shards": min(2, num_tasks),
            "actors.num_actors": min(4, num_tasks),
        }
        options = ["--suite", self._options.suite, "--seed", str(self._options.seed)]
        options += [part for name in self._options.presets for part in ("--preset", name)]
        options += ["--steps", str(STEPS)]
        assignments = [f"{key}={value}" for key, value in settings.items()] + list(self._options.assignments)
        return options + [part for text in assignments for part in ("--set", text)]
