"""The connection to Ray: which cluster a run joins, and that an address without one is refused at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stars_dist.cluster.connection import connect
from tests.stars_dist.cluster.started_ray import head

__all__ = ["head"]  # the fixture
ROOT = Path(__file__).resolve().parent.parent.parent.parent
OTHER_RUN = """
import ray, sys
ray.init(address="local", include_dashboard=False, log_to_driver=False)
print(ray.get_runtime_context().gcs_address, flush=True)
sys.stdin.read()
"""
WITHOUT_TOKEN = os.environ | {"RAY_AUTH_MODE": "disabled"}
THIS_RUN = """
from stars_dist.cluster.auth_token import open_cluster_warning
from stars_dist.cluster.connection import connect
print(connect("auto", 1) or open_cluster_warning())
"""


@pytest.mark.parametrize(
    ("address", "reason"),
    [("127.0.0.1:1", "refused"), ("127.0.0.1", "no port"), ("localhost:x", "no port")],
)
def test_an_address_without_a_cluster_is_refused(address: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"must name a running Ray cluster.*{reason}.*use auto or local"):
        connect(address, 1)


@pytest.mark.cluster
@pytest.mark.slow
def test_auto_joins_a_cluster_that_is_named_and_never_the_private_one_of_another_run() -> None:
    command = [sys.executable, "-c", OTHER_RUN]
    other = subprocess.Popen(
        command, env=WITHOUT_TOKEN, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    try:
        address = other.stdout.readline().strip()
        assert starts_its_own() == "True"
        warning = starts_its_own(RAY_ADDRESS=address)
        assert warning.startswith("warning: this Ray cluster asks for no token")
    finally:
        other.communicate("", timeout=60)


IN_A_WORKER = """
import os, signal
import ray
signal.signal(signal.SIGTERM, kept := lambda number, frame: None)
from stars_dist.cluster.connection import connect
where = os.getcwd()
connect("auto", 1)
import learner
print(ray.get(ray.remote(lambda: __import__("learner").__file__).remote()) == learner.__file__)
print(os.getcwd() == where, signal.getsignal(signal.SIGTERM) is kept, ray.cluster_resources()["CPU"])
"""


@pytest.mark.cluster
def test_an_odd_environment_is_none_of_rays_business(tmp_path: Path) -> None:
    """A learner.py and actors/ where the user is, one core, a long TMPDIR, RAY_ADDRESS=auto, own signals, no HOME."""
    (tmp_path / "actors").mkdir()
    for file in ("learner.py", "actors/__init__.py"):
        (tmp_path / file).write_text("raise SystemExit('not this one')")
    long = tmp_path / ("x" * 100)
    long.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    environment |= {
        "TMPDIR": str(long),
        "HOME": "/dev/null/home",  # cannot be written to
        "RAY_ADDRESS": "auto",
        "PYTHONPATH": str(ROOT),
        "PYTHONSAFEPATH": "1",  # as for an installed program: the directory of the user is not searched
    }
    command = ["taskset", "-c", str(min(os.sched_getaffinity(0))), sys.executable, "-c", IN_A_WORKER]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["True", "True", "True", "1.0"], done.stderr


def test_a_wrong_ray_address_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "http://127.0.0.1")
    with pytest.raises(ValueError, match="RAY_ADDRESS must name a running Ray cluster"):
        connect("auto", 1)


def starts_its_own(**environment: str) -> str:
    """True if `connect("auto")` starts a cluster, in a process of its own; else what is said of the one it joins."""
    variables = {name: value for name, value in WITHOUT_TOKEN.items() if name != "RAY_ADDRESS"} | environment
    command = [sys.executable, "-c", THIS_RUN]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout.splitlines()[-1]


JOIN = """
from stars_dist.cluster.connection import connect
print("started its own" if connect({address!r}, 1) else "joined")
"""


def join(address: str, environment: dict[str, str]) -> tuple[str, str]:
    """What a program prints that joins a cluster, and its errors."""
    command = [sys.executable, "-c", JOIN.format(address=address)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    lines = [line for line in done.stderr.splitlines() if " W " in line or "Error" in line]
    return done.stdout.strip(), "\n".join(lines)


@pytest.mark.cluster
def test_auto_brings_the_token_that_ray_start_has_found_and_who_has_none_is_told_at_once(
    head: tuple[str, dict[str, str]],
) -> None:
    address, user = head
    assert join("auto", user)[0] == "joined"
    for variables, reason in [
        ({}, "it asks for a token, and this process sends none); set RAY_AUTH_MODE=token"),
        ({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "f" * 32}, "does not take this process's token); give"),
    ]:
        printed, error = join(address, user | variables)
        assert printed == ""
        assert len(error.splitlines()) == 1 and reason in error  # no warning of Ray, which would try for 20 s


LATE_NODE = """
import time
import ray._private.services as services
find, first = services.get_node, []
def find_late(*args):
    first.append(time.monotonic())
    if first[-1] < first[0] + 33.0:  # Ray gives up after 30
        raise RuntimeError("the node is not there yet")
    return find(*args)
services.get_node = find_late
import psutil
from stars_dist.cluster.connection import connect
print(connect("local", 1))
print([process.name() for process in psutil.Process().children()].count("raylet"))
"""


@pytest.mark.cluster
@pytest.mark.slow
def test_a_ray_that_is_up_later_than_it_waits_for_itself_is_started_again() -> None:
    command = [sys.executable, "-c", LATE_NODE]
    done = subprocess.run(command, env=WITHOUT_TOKEN, cwd=ROOT, capture_output=True, text=True, timeout=250)
    assert done.stdout.split() == ["True", "1"], done.stderr
