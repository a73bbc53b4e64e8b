"""The connection to Ray: which cluster a run joins, and that an address without one is refused at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stars_dist.cluster.connection import connect

ROOT = Path(__file__).resolve().parent.parent.parent.parent
OTHER_RUN = """
import ray, sys
ray.init(address="local", include_dashboard=False, log_to_driver=False)
print(ray.get_runtime_context().gcs_address, flush=True)
sys.stdin.read()
"""
WITHOUT_TOKEN = os.environ | {"RAY_AUTH_MODE": "disabled"}
THIS_RUN = "from stars_dist.cluster.connection import connect; print(connect('auto', 1))"


@pytest.mark.parametrize(
    ("address", "reason"),
    [("127.0.0.1:1", "refused"), ("127.0.0.1", "no port"), ("localhost:x", "no port")],
)
def test_an_address_without_a_cluster_is_refused(address: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"must name a running Ray cluster.*{reason}.*use auto or local"):
        connect(address, 1)


@pytest.mark.cluster
def test_auto_joins_a_cluster_that_is_named_and_never_the_private_one_of_another_run() -> None:
    command = [sys.executable, "-c", OTHER_RUN]
    other = subprocess.Popen(
        command, env=WITHOUT_TOKEN, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    try:
        address = other.stdout.readline().strip()
        assert starts_its_own() == "True"
        assert starts_its_own(RAY_ADDRESS=address) == "False"
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
    """A learner.py where the user is, one core by affinity, a long TMPDIR, RAY_ADDRESS=auto, own signal handlers."""
    (tmp_path / "learner.py").write_text("raise SystemExit('not this one')")
    long = tmp_path / ("x" * 100)
    long.mkdir()
    environment = WITHOUT_TOKEN | {
        "TMPDIR": str(long),
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
    """What `connect("auto")` returns in a process of its own."""
    variables = {name: value for name, value in WITHOUT_TOKEN.items() if name != "RAY_ADDRESS"} | environment
    command = [sys.executable, "-c", THIS_RUN]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout.split()[-1]


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
