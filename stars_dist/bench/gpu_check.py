"""`make gpu-check`: tests and benchmarks of the learner on a machine with a GPU, within a given time.

Every step is a process of its own with a deadline, and its result is in a file of its own as soon as it is there, so
that what was measured remains whatever happens next.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import typer

from stars_dist.bench.gpu_check_sizes import CHECK_SIZES
from stars_dist.bench.launched_run import CLI

METHODS, SUITES = ("stars", "mtmhsac", "stars-large"), ("mt10", "mt50")
RESERVE_S = 45.0  # of the whole time: for the stop of the last run
LEAST_RUN_MINUTES = 0.5  # of bench system; with less it makes no update


class Step(NamedTuple):
    """One step: a command whose standard output is JSON, or whose exit code is the result."""

    name: str
    command: tuple[str, ...]
    timeout_s: float
    prints_json: bool
    environment: dict[str, str]


def check(
    device: str = typer.Option("cuda", help="cuda, or cpu for a rehearsal at small size."),
    minutes: float = typer.Option(9.0, help="Time for all of it, minutes."),
    out: Path = typer.Option(Path("gpu-check"), help="Where results go, a JSON file per step."),
) -> None:
    """Run the tests marked gpu, then the learner's benchmark, then a whole run with what time is left."""
    if device not in CHECK_SIZES or minutes <= 0:
        print(
            f"error: --device must be cuda or cpu and --minutes above 0, got {device}, {minutes}",
            file=sys.stderr,
        )
        raise SystemExit(2)
    end = time.monotonic() + 60 * minutes
    out.mkdir(parents=True, exist_ok=True)
    _write(out / "machine.json", machine())
    failed = [step.name for step in steps(device) if not _run(step, out, end - RESERVE_S)]
    run = system_step(device, (end - RESERVE_S - time.monotonic()) / 60)
    if run is None or not _run(run, out, end):
        failed.append("bench-system")
    _write(out / "summary.json", {"failed": failed, "seconds": 60 * minutes - (end - time.monotonic())})
    print(f"results are in {out}; " + (f"failed: {', '.join(failed)}" if failed else "all steps passed"))
    raise SystemExit(1 if failed else 0)


def machine() -> dict[str, Any]:
    """Say what this is: processor, GPU and versions."""
    code = (
        "import torch; print(torch.__version__, torch.version.cuda); "
        "print(torch.cuda.get_device_name() if torch.cuda.is_available() else None)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return {
        "python": sys.version,
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "torch": answer.stdout.split("\n") if answer.returncode == 0 else answer.stderr,
    }


def steps(device: str) -> list[Step]:
    """List all but the whole run, in order."""
    sizes = CHECK_SIZES[device]
    tests = (sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", "tests/learner")
    listed = [Step("tests", tests, sizes.tests_timeout_s, False, {"STARS_TEST_DEVICE": device})]
    for suite in SUITES:
        for method in METHODS:
            options = ("--suite", suite, "--preset", method, "--device", device, *sizes.learner_options)
            command = (*CLI, "bench", "learner", *options, "--json")
            listed.append(Step(f"bench-learner-{suite}-{method}", command, sizes.learner_timeout_s, True, {}))
    return listed


def system_step(device: str, minutes: float) -> Step | None:
    """Return the whole run, or None if there is no time for it."""
    if minutes < LEAST_RUN_MINUTES:
        return None
    options = (*CHECK_SIZES[device].system_options, "--device", device, "--minutes", f"{minutes:.2f}")
    return Step(
        "bench-system", (*CLI, "bench", "system", *options, "--json"), 60 * minutes + RESERVE_S, True, {}
    )


def _run(step: Step, out: Path, end: float) -> bool:
    """Run a step within its own time and the whole; write its result; return whether it passed."""
    started = time.monotonic()
    timeout_s = min(step.timeout_s, end - started)
    print(f"{step.name}: at most {max(timeout_s, 0):.0f} s", flush=True)
    result: dict[str, Any] = {"command": list(step.command)}
    code, output, errors = _output(step.command, step.environment, timeout_s)
    passed = code == 0
    if step.prints_json and passed:
        try:
            result["result"] = json.loads(output)
        except ValueError:
            passed = False
    tail = [] if passed and step.prints_json else [*output.splitlines()[-40:], *errors.splitlines()[-40:]]
    result |= {"passed": passed, "exit_code": code, "output": tail, "seconds": time.monotonic() - started}
    _write(out / f"{step.name}.json", result)
    print(f"{step.name}: {'passed' if passed else 'FAILED'} in {result['seconds']:.0f} s", flush=True)
    for line in [] if passed else tail[-8:]:
        print(f"    {line}", flush=True)
    return passed


def _output(
    command: Sequence[str], environment: dict[str, str], timeout_s: float
) -> tuple[int | None, str, str]:
    """Return exit code and both outputs of a process; None as the code of one that was out of time."""
    if timeout_s <= 0:
        return None, "", "no time was left for this step"
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=timeout_s)
        return process.returncode, output, errors
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        output, errors = process.communicate()
        return None, output, f"{errors}\nout of time after {timeout_s:.0f} s"


def _write(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1))


if __name__ == "__main__":
    typer.run(check)
