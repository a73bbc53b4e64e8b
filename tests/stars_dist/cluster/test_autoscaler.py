"""A run on a cluster that Ray's real autoscaler makes grow and shrink, with nodes of this machine as its machines."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from tests.stars_dist.cluster.started_ray import HEAD
from tests.stars_dist.cluster.test_actors import Run, start
from tests.stars_dist.test_training import metrics

__all__ = ["start"]

HEAD_ID = "f" * 51 + "00000"
# RAY_OVERRIDE_NODE_ID_FOR_TESTING is for the head alone
ENVIRONMENT = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_FAKE_CLUSTER": "1",
    "AUTOSCALER_UPDATE_INTERVAL_S": "1",
    "RAY_enable_autoscaler_v2": "1",
    "RAY_CLOUD_INSTANCE_ID": HEAD_ID,
    "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD_ID,
}
COMMANDS = (  # all of which a cluster file must have
    "setup",
    "head_setup",
    "worker_setup",
    "initialization",
    "head_start_ray",
    "worker_start_ray",
)
# Of which the head has the memory for none: they are not refused where machines may come.
LARGE_ACTORS = "from stars_dist.cluster import actor_memory; actor_memory.LEAST_ACTOR_BYTES = 2**50"
TRIES = 3  # of a head that does not come up within Ray's own 30 s


def configuration(address: str) -> dict[str, Any]:
    """A cluster file with up to three machines of four cores, which leave after half a minute without work."""
    provider = {
        "type": "external",
        "module": "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider",
        "gcs_address": address,
        "use_node_id_as_ip": True,
        "disable_node_updaters": True,
        "disable_launch_config_check": True,
        "launch_multiple": True,
        "head_node_id": HEAD_ID,
    }
    worker = {
        "resources": {"CPU": 4, "object_store_memory": 100_000_000},
        "node_config": {},
        "max_workers": 3,
    }
    return {
        "cluster_name": "fake",
        "max_workers": 3,
        "upscaling_speed": 100,
        "idle_timeout_minutes": 0.5,
        "provider": provider,
        "head_node_type": "ray.head.default",
        **{f"{name}_commands": [] for name in COMMANDS},
        **{name: {} for name in ("auth", "docker", "file_mounts")},
        "cluster_synced_files": [],
        "file_mounts_sync_continuously": False,
        "available_node_types": {
            "ray.head.default": {"resources": {}, "node_config": {}, "max_workers": 0},
            "cpu_worker": worker | {"min_workers": 0},
        },
    }


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a head with two cores and an autoscaler."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    file = tmp_path / "cluster.yaml"
    file.write_text(yaml.safe_dump(configuration(address)))
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as temporary:
        options = ["--node-ip-address=127.0.0.1", f"--port={address.split(':')[1]}", "--num-cpus=2"]
        options += [f"--autoscaling-config={file}", f"--temp-dir={temporary}", "--include-dashboard=false"]
        head = start_head(options)
        yield address
        end(head)


def start_head(options: list[str]) -> psutil.Popen:
    for tries_left in reversed(range(TRIES)):
        head = psutil.Popen(
            [*HEAD, *options],
            env=os.environ | ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        printed = []
        for line in head.stdout:
            printed.append(line)
            if "Ray runtime started" in line:
                return head
        end(head)
        assert tries_left, "".join(printed)
    raise AssertionError("returned or failed above")


def end(head: psutil.Popen) -> None:
    processes = [head, *head.children(recursive=True)] if head.is_running() else []
    for process in processes:
        process.kill()
    psutil.wait_procs(processes)


@pytest.fixture
def cores(cluster: str) -> Iterator[Callable[[], float]]:
    """How many cores the cluster has now."""
    import ray

    ray.init(address=cluster, log_to_driver=False)
    yield lambda: ray.cluster_resources().get("CPU", 0.0)
    ray.shutdown()


def demands(cluster: str) -> list[Any]:
    """What is asked of the autoscaler."""
    from ray.autoscaler.v2.sdk import get_cluster_status

    asked = get_cluster_status(cluster).resource_demands
    return [*asked.ray_task_actor_demand, *asked.placement_group_demand, *asked.cluster_constraint_demand]


def newest_of_the_clock(run: Path) -> dict[str, float]:
    """The newest line that the supervisor has written by the clock; there are others, of the learner."""
    return next(line for line in reversed(metrics(run)) if "perf/actors_alive" in line)


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_run_grows_its_cluster_and_leaves_nothing_behind_when_it_is_killed(
    cluster: str, cores: Callable[[], float], start: Callable[..., Run]
) -> None:
    suite = ["--suite", "toy:4", "--actors", "12", "--steps", "100000000", "--address", cluster]
    deadlines = ["--set", "actors.hang_timeout_s=60", "--set", "answer_timeout_s=60"]
    run = start(*suite, *deadlines, patch=LARGE_ACTORS)
    run.wait_for(lambda: run.inserted().min() > 200, 240)  # with whoever is there, for the tasks of all
    run.wait_for(lambda: cores() == 14, 240)
    run.wait_for(lambda: newest_of_the_clock(run.path)["perf/actors_alive"] == 12, 240)
    assert "perf/busy_cores" not in newest_of_the_clock(run.path), "they are the cluster's processes"
    assert "start anew" not in run.output
    assert "on 1 node of the cluster; the others need machines that the autoscaler adds" in run.output
    run.process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 240
    while cores() > 2 or demands(cluster):
        assert time.monotonic() < deadline, (cores(), demands(cluster))
        time.sleep(2)
