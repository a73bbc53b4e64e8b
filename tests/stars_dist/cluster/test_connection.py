"""The connection to Ray: which cluster a run joins, and that an address without one is refused at once."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from stars_dist.cluster.connection import connect

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


def starts_its_own(**environment: str) -> str:
    """What `connect("auto")` returns in a process of its own."""
    variables = {name: value for name, value in WITHOUT_TOKEN.items() if name != "RAY_ADDRESS"} | environment
    command = [sys.executable, "-c", THIS_RUN]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout.split()[-1]
