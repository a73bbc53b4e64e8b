"""Whole runs by the command line on the toy suite: in one process, and on a Ray cluster of this machine."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

COMMAND = [sys.executable, "-c", "from stars_dist.cli import main; main()"]
SHORT = ["--suite", "toy:4", "--preset", "laptop", "--eval-episodes", "2"]


def stars_dist(*arguments: str | Path, timeout_s: float = 200) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s)


def metrics(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def untimed(run: Path) -> list[dict[str, float]]:
    keys = ("perf/", "wall_time_s")
    return [{k: v for k, v in line.items() if not k.startswith(keys)} for line in metrics(run)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["launch", "--suite", "mt11"], "did you mean 'mt1"),
        (["launch", "--suite", "reach-v3,puhs-v3"], "did you mean 'push-v3'"),
        (["launch", "--actors", "0"], "--actors must be greater than or equal to 1, got 0"),
        (["launch", "--steps", str(10**30)], "--steps must be less than or equal to 1000000000000000"),
        (["launch", "--actors", "4097"], "--actors must be less than or equal to 4096, got 4097"),
        (["launch", "--steps", "-1"], "--steps must be greater than or equal to 1, got -1"),
        (["launch", "--shards", "99"], "got 99 shards for 10 tasks; use --shards 10"),
        (["launch", "--actors", "many"], "--actors must be a valid integer, got many"),
        (["launch", "--learners", "0"], "--learners must be greater than 0, got 0"),
        (["launch", "--learners", "two"], "--learners must be a valid integer, got two"),
        (["launch", "--learners", "3"], "got learner.num_learners 3 for batches of 1280 rows; use a divisor"),
        (
            ["launch", "--learners", "2", "--serial"],
            "a serial run has one learner, got learner.num_learners 2",
        ),
        (
            ["launch", "--learners", "2", "--set", "learner.prefetch_calls=2"],
            "several learners draw one call after another, got learner.prefetch_calls 2",
        ),
        (["launch", "--seed", str(2**32)], "--seed must be less than 4294967296, got 4294967296"),
        (["launch", "--run-dir", ""], "--run-dir must name a directory, got ''"),
        (["launch", "--run-dir", "~no-one/run"], "--run-dir must name a directory, got '~no-one/run'"),
        (["resume", "nowhere"], "nowhere"),
        (["evaluate", "nowhere"], "nowhere"),
    ],
)
def test_bad_input_exits_2_with_one_line(arguments: list[str], message: str, tmp_path: Path) -> None:
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_dry_run_writes_nothing(tmp_path: Path) -> None:
    done = stars_dist("launch", *SHORT, "--dry-run", "--run-dir", tmp_path / "run")
    assert done.returncode == 0
    assert "every_env_steps" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_serial_runs_with_one_seed_are_identical_and_resumable(tmp_path: Path) -> None:
    hashes = []
    for name in ("a", "b"):
        done = stars_dist("launch", *SHORT, "--serial", "--steps", "2800", "--run-dir", tmp_path / name)
        assert done.returncode == 0, done.stderr
        found = re.search(r"sha256 of the weights: (\w{64})", done.stdout)
        assert found
        hashes.append(found[1])
    assert hashes[0] == hashes[1]
    assert untimed(tmp_path / "a") == untimed(tmp_path / "b")
    again = stars_dist("launch", *SHORT, "--serial", "--steps", "2800", "--run-dir", tmp_path / "a")
    assert again.returncode == 0
    assert "has made its 2,800 steps and is evaluated; there is nothing to do" in again.stdout
    new = ("launch", *SHORT, "--serial", "--steps", "2800", "--resume", "never", "--run-dir", tmp_path / "a")
    refused = stars_dist(*new)
    assert refused.returncode == 2
    assert "holds a run" in refused.stderr
    resumed = stars_dist("resume", tmp_path / "a", "--steps", "3600")
    assert resumed.returncode == 0, resumed.stderr
    last = metrics(tmp_path / "a")[-1]
    assert (last["env_steps"], last["learner_steps"]) == (3600, 200)


@pytest.mark.slow
def test_a_launch_repeated_goes_on_also_on_another_machine_and_ends_as_if_never_interrupted(
    tmp_path: Path,
) -> None:
    """The machine goes with its disks; the copy of the checkpoints alone outlives it."""
    small = ["--suite", "toy:2", "--preset", "small", "--eval-episodes", "2", "--serial", "--steps", "2000"]
    command = ["launch", *small, "--checkpoint-every", "200", "--run-dir"]
    plain = stars_dist(*command, tmp_path / "plain")
    outliving = ["--checkpoint-dir", f"file://{tmp_path}/copy", "--set", f"replay.directory={tmp_path}/fast"]
    run = tmp_path / "run"
    process = subprocess.Popen([*COMMAND, *command, str(run), *outliving])
    try:
        wait_for(lambda: newest_copied(tmp_path / "copy") > 0, 120)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 130
    finally:
        process.kill()
    shutil.rmtree(run)
    shutil.rmtree(tmp_path / "fast")
    other = stars_dist(*command, run, *outliving, "--set", "sac.gamma=0.9")
    assert (other.returncode, run.exists()) == (2, False)
    assert "sac.gamma is 0.99 there and 0.9 here" in other.stderr
    done = stars_dist(*command, run, *outliving)
    assert done.returncode == 0, done.stderr
    hashes = [re.search(r"sha256 of the weights: (\w{64})", each.stdout) for each in (plain, done)]
    assert hashes[0] and hashes[1] and hashes[0][1] == hashes[1][1]
    assert untimed(run) == untimed(tmp_path / "plain")
    shutil.rmtree(run)
    again = stars_dist(*command, run, *outliving)
    assert again.returncode == 0 and "there is nothing to do" in again.stdout


def newest_copied(copy: Path) -> int:
    """The updates of the newest whole checkpoint in a copy."""
    steps = [int(path.parent.name.removeprefix("step-")) for path in copy.glob("checkpoints/*/manifest.json")]
    return max(steps, default=0)


def test_interrupted_serial_run_saves_and_goes_on(tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = ["launch", *SHORT, "--serial", "--steps", "40000", "--run-dir", str(run)]
    process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        wait_for(lambda: metrics(run)[-1]["learner_steps"] > 0, 90)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert f"stars-dist resume {run}" in output
    (checkpoint,) = (run / "checkpoints").iterdir()  # of the update at which it stopped, within a round
    assert 0 <= int(checkpoint.name.removeprefix("step-")) - metrics(run)[-1]["learner_steps"] < 50


@pytest.mark.slow
def test_a_finished_run_with_more_steps_goes_on_after_an_interruption_and_not_without_checkpoints(
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    small = ["--suite", "toy:2", "--preset", "small", "--eval-episodes", "2", "--serial"]
    assert stars_dist("launch", *small, "--steps", "1400", "--run-dir", run).returncode == 0
    process = subprocess.Popen([*COMMAND, "resume", str(run), "--steps", "400000"])
    try:
        wait_for(lambda: metrics(run)[-1]["env_steps"] > 1400, 90)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 130
    finally:
        process.kill()
    assert stars_dist("resume", run, "--steps", "400").returncode == 2
    process = subprocess.Popen([*COMMAND, "resume", str(run)])  # the command that was printed
    try:
        before = metrics(run)[-1]["env_steps"]
        wait_for(lambda: metrics(run)[-1]["env_steps"] > before, 90)
    finally:
        process.kill()
        process.wait()
    kept = (run / "evaluation.json").read_bytes()
    newest, *older = sorted((run / "checkpoints").iterdir(), key=lambda path: -int(path.name[5:]))
    (newest / "policy.npz").write_bytes(b"torn")
    evaluated = stars_dist("evaluate", run, "--episodes", "1")
    assert evaluated.returncode == 2
    assert (f"stars-dist evaluate {older[0]}" if older else "no whole one") in evaluated.stderr
    for checkpoint in older:
        (checkpoint / "state.json").unlink()
    refused = stars_dist("resume", run)
    assert refused.returncode == 2
    assert f"{newest}/policy.npz is damaged" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
    assert (run / "evaluation.json").read_bytes() == kept


@pytest.mark.cluster
def test_distributed_run_keeps_its_ratio_and_can_be_resumed_and_evaluated(tmp_path: Path) -> None:
    run = tmp_path / "run"
    steps = ("--steps", "4000", "--actors", "3", "--address", "local")
    places = ("--checkpoint-dir", tmp_path / "copy", "--set", f"replay.directory={tmp_path}/fast")
    done = stars_dist("launch", *SHORT, *steps, *places, "--run-dir", run)
    assert done.returncode == 0, done.stderr + done.stdout
    assert (run / "replay").resolve().parent == tmp_path / "fast"
    assert newest_copied(tmp_path / "copy") == 250
    assert (tmp_path / "copy" / "evaluation.json").read_bytes() == (run / "evaluation.json").read_bytes()
    assert json.loads((run / "evaluation.json").read_text())["learner_steps"] == 250  # (4000 - 4 * 500) / 8
    resumed = stars_dist("resume", run, "--steps", "4800", "--address", "local")
    assert resumed.returncode == 0, resumed.stderr + resumed.stdout
    assert "every acknowledged transition" in resumed.stdout
    assert newest_copied(tmp_path / "copy") == 350
    evaluated = stars_dist("evaluate", run, "--episodes", "3", "--json", "--actors", "2")
    result = json.loads(evaluated.stdout)
    assert (result["learner_steps"], result["env_steps"]) == (350, 4800)
    assert [task["n"] for task in result["tasks"]] == [3, 3, 3, 3]
    events = EventAccumulator(str(run), size_guidance={"scalars": 0})
    events.Reload()
    tags = set(events.Tags()["scalars"])
    assert {"eval/mean_success", "rollout/return/toy-3", "train/critic_loss", "sampling/quota/toy-0"} <= tags
    replay = "size inserted sampled priority_mass sampled_age stale_updates duplicate_chunks lost_updates"
    replay += (
        " limiter_cursor limiter_error_buffer limiter_inserts_left effective_sample_size sampled_age/toy-1"
    )
    assert {f"replay/{name}" for name in replay.split()} <= tags
    points = [event.step for event in events.Scalars("perf/samples_per_insert")]
    assert points == sorted(points)


@pytest.mark.cluster
def test_interrupt_saves_and_killed_processes_come_back(tmp_path: Path) -> None:
    run = tmp_path / "run"
    steps = ("--steps", "40000", "--actors", "2", "--address", "local")
    arguments = ["launch", *SHORT, *steps, "--checkpoint-every", "400", "--run-dir", str(run)]
    process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, text=True, env={**os.environ})
    try:
        wait_for(lambda: any((run / "checkpoints").glob("step-*")), 90)
        victims = {
            name: child_named(process.pid, name) for name in ("RolloutProcess", "Shard", "LearnerProcess")
        }
        for victim in victims.values():
            victim.kill()
        wait_for(lambda: all(child_named(process.pid, n) not in victims.values() for n in victims), 60)
        before = len(metrics(run))
        wait_for(lambda: len(metrics(run)) > before + 5, 60)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=90)
    finally:
        process.kill()
    assert process.returncode == 130
    assert f"stars-dist resume {run}" in output
    assert "shard 0 was restarted" in output
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(run) in " ".join(p.info["cmdline"] or [])]


def child_named(pid: int, name: str) -> psutil.Process:
    children = psutil.Process(pid).children(recursive=True)
    found = [child for child in children if f"ray::{name}" in " ".join(child.cmdline())]
    wait_for(lambda: bool(found), 1)
    return found[0]


def wait_for(condition, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            if condition():
                return
        except (psutil.Error, FileNotFoundError, IndexError, AssertionError, ValueError):
            pass
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.2)
