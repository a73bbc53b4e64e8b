"""Signals to a run: the first one has it saved, a second one quits."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import psutil
import pytest

from stars_dist.interruption import SIGNALS, Interruption, RunInterruptedError
from stars_dist.status.run_status import State, read_status

COMMAND = [sys.executable, "-u", "-c", "from stars_dist.cli import main; main()"]
RUN = ["launch", "--suite", "toy:4", "--preset", "small", "--eval-episodes", "2", "--steps", "400000"]
STOPPING = "stopping after this update and saving; again: quit without saving"


@pytest.fixture(autouse=True)
def _hangup_is_heard() -> Iterator[None]:
    """Let a closed terminal be heard where the tests themselves run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_acknowledged_and_the_second_quits(
    number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(number)
    with Interruption().listening() as interruption:
        signal.raise_signal(number)
        assert interruption.is_set()
        assert STOPPING in capfd.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert signal.getsignal(number) is before


def test_what_need_not_be_completed_ends_at_once() -> None:
    with Interruption().listening() as interruption:
        with pytest.raises(RunInterruptedError), interruption.raising():
            signal.raise_signal(signal.SIGTERM)
        with pytest.raises(RunInterruptedError), interruption.raising():
            pytest.fail("it was interrupted before")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("moment", range(8))
def test_a_signal_at_any_moment_of_a_wait_is_heard(moment: int) -> None:
    """Its handler runs between two lines of the wait, and must wait for nothing that they hold."""
    seen = 0

    def trace(frame: FrameType, event: str, argument: object) -> Callable:
        nonlocal seen
        seen += 1
        if seen == moment + 1:
            signal.raise_signal(signal.SIGTERM)
        return trace

    with Interruption().listening() as interruption:
        before = sys.gettrace()
        sys.settrace(trace)
        try:
            heard = interruption.wait(5.0)
        finally:
            sys.settrace(before)
    assert heard


def test_a_wait_ends_after_its_time() -> None:
    assert not Interruption().wait(0.01)


def test_under_nohup_the_end_of_the_terminal_is_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interruption().listening() as interruption:
            signal.raise_signal(signal.SIGHUP)
            assert not interruption.is_set()
    finally:
        signal.signal(signal.SIGHUP, before)


@contextmanager
def started(output: Path, *arguments: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start the program as the leader of a process group, as a shell does."""
    with output.open("wb") as file:
        command = [*COMMAND, *map(str, arguments)]
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for_text(path: Path, pattern: str, timeout_s: float = 240) -> None:
    deadline = time.monotonic() + timeout_s
    while not re.search(pattern, path.read_text()):
        assert time.monotonic() < deadline, f"waited in vain for {pattern}: {path.read_text()}"
        time.sleep(0.1)


def checkpoints(run: Path) -> list[str]:
    return [path.name for path in run.glob("checkpoints/*")]


@pytest.mark.parametrize(
    ("phase", "number"),
    [
        ("loading torch", signal.SIGTERM),
        ("computing the tasks' goals", signal.SIGHUP),
        (r"update [1-9]", signal.SIGHUP),
    ],
)
def test_a_serial_run_stops_in_every_phase(tmp_path: Path, phase: str, number: int) -> None:
    run, output = tmp_path / "run", tmp_path / "output"
    with started(output, *RUN, "--serial", "--run-dir", run) as process:
        wait_for_text(output, phase)
        process.send_signal(number)
        assert process.wait(90) == 130
    text = output.read_text()
    assert STOPPING in text
    assert f"stars-dist resume {run}" in text
    assert ("the run is saved" in text) == bool(checkpoints(run))
    assert read_status(run).state is State.INTERRUPTED


def test_a_serial_run_stops_within_its_evaluation(tmp_path: Path) -> None:
    run, output = tmp_path / "run", tmp_path / "output"
    short = ["--steps", "4000", "--eval-episodes", "100000"]
    with started(output, *RUN, *short, "--eval-every", "2000", "--serial", "--run-dir", run) as process:
        wait_for_text(output, "evaluating: 100000 episodes for each of 4 tasks; training goes on after it")
        process.send_signal(signal.SIGTERM)
        assert process.wait(90) == 130
    assert "the run is saved" in output.read_text()


def test_a_second_signal_names_what_is_not_saved(tmp_path: Path) -> None:
    run, output = tmp_path / "run", tmp_path / "output"
    with started(output, *RUN, "--serial", "--run-dir", run) as process:
        wait_for_text(output, r"update [1-9]")
        process.send_signal(signal.SIGSTOP)  # so that both arrive before the update's end
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGCONT)
        assert process.wait(90) == 130
    assert re.search(r"quit; not saved: all [\d,]+ updates, there is no whole checkpoint", output.read_text())
    assert "the run is saved" not in output.read_text()


@pytest.mark.cluster
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("phase", "number"),
    [
        ("starting Ray", signal.SIGTERM),
        ("starting actors", signal.SIGHUP),
        (r"update [1-9]", signal.SIGTERM),
    ],
)
def test_a_distributed_run_stops_in_every_phase(tmp_path: Path, phase: str, number: int) -> None:
    """The signal goes to the whole process group, as a terminal that closes and `timeout` send it."""
    run, output = tmp_path / "run", tmp_path / "output"
    with started(output, *RUN, "--actors", "2", "--address", "local", "--run-dir", run) as process:
        wait_for_text(output, phase)
        children = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, number)
        assert process.wait(60) == 130
    text = output.read_text()
    assert STOPPING in text
    assert f"stars-dist resume {run}" in text
    assert ("the run is saved" in text) == bool(checkpoints(run))
    assert ("the run is saved" in text) == ("update" in phase)
    assert psutil.wait_procs(children, timeout=10)[1] == []


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.parametrize("phase", ["saving a checkpoint", "evaluating: 20000 episodes", "beside training"])
def test_a_distributed_run_stops_while_it_evaluates_and_saves(tmp_path: Path, phase: str) -> None:
    """An evaluation of so many episodes would last for hours; the signal goes to the driver alone, as of `kill`."""
    run, output = tmp_path / "run", tmp_path / "output"
    is_beside = phase == "beside training"
    steps = ["--steps", "400000", "--eval-every", "1000"] if is_beside else ["--steps", "2000"]
    arguments = [*RUN, "--eval-episodes", "20000", *steps, "--actors", "2", "--address", "local"]
    with started(output, *arguments, "--run-dir", run) as process:
        wait_for_text(output, r"update [1-9]" if is_beside else phase)
        children = psutil.Process(process.pid).children(recursive=True)
        while is_beside and not any("Evaluat" in child.name() for child in children):
            time.sleep(0.2)
            children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 130
    text = output.read_text()
    assert STOPPING in text and "the run is saved" in text and f"stars-dist resume {run}" in text
    assert checkpoints(run) and not (run / "evaluation.json").exists()
    assert psutil.wait_procs(children, timeout=10)[1] == []
    assert read_status(run).state is State.INTERRUPTED


@pytest.mark.parametrize("output", ["closed pipe", "/dev/full"])
def test_output_that_cannot_be_written_does_not_end_a_run(tmp_path: Path, output: str) -> None:
    run = tmp_path / "run"
    command = [*COMMAND, *RUN, "--steps", "2000", "--serial", "--run-dir", str(run)]
    reader, writer = os.pipe()
    os.close(reader)
    descriptor = writer if output == "closed pipe" else os.open(output, os.O_WRONLY)
    done = subprocess.run(command, stdout=descriptor, stderr=subprocess.PIPE, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert (run / "evaluation.json").is_file()


@pytest.mark.parametrize("command", ["tasks --suite mt50", "launch --dry-run"])
def test_a_reader_that_ends_early_causes_no_traceback(command: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    arguments = [*COMMAND, *command.split()]
    done = subprocess.run(arguments, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (1, "")


class SignalledWhileItNotes(Interruption):
    """A second signal comes while the first is noted, as the threads of a dying parent send them."""

    def set(self) -> None:
        signal.raise_signal(signal.SIGTERM)
        super().set()


def test_a_signal_that_comes_twice_at_once_is_one() -> None:
    with SignalledWhileItNotes().listening() as interruption:
        signal.raise_signal(signal.SIGTERM)
        assert interruption.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
