"""`stars-dist doctor`: the rows of this machine, and what it says of nodes that differ."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
from pathlib import Path

import pytest

from stars_dist.cluster.node_survey import NodeAnswer, SurveyedNode, answer
from stars_dist.doctor.check import Check, Verdict, table
from stars_dist.doctor.machine import machine_checks
from stars_dist.doctor.nodes import node_checks
from tests.stars_dist.cluster.started_ray import head
from tests.stars_dist.commands.conftest import Command, stars_dist
from tests.stars_dist.commands.program import PROGRAM

__all__ = ["head", "stars_dist"]  # the fixtures


def test_the_rows_of_this_machine(stars_dist: Command, tmp_path: Path) -> None:
    done = stars_dist("doctor", "--json", "--runs", tmp_path)
    rows = {row["name"]: row for row in json.loads(done.out)}
    assert done.code == (1 if any(row["verdict"] == "FAIL" for row in rows.values()) else 0)
    assert {
        "python",
        "ray",
        "torch",
        "GPU and torch",
        "OpenGL",
        "cores",
        "memory",
        "/dev/shm",
        "disk",
    } <= set(rows)
    assert rows["ray"] == {"name": "ray", "verdict": "PASS", "found": "2.60.0", "fix": ""}
    assert all(row["fix"] or row["verdict"] == "PASS" for row in rows.values())


def test_a_directory_that_cannot_be_written_to_fails() -> None:
    rows = {check.name: check for check in machine_checks(Path("/proc/runs"))}
    assert rows["runs"].verdict is Verdict.FAIL and "use --run-dir" in rows["runs"].fix


def test_a_port_in_use_is_a_warning() -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):  # in use by somebody else is as good
            taken.bind(("127.0.0.1", 6006))
        rows = {check.name: check for check in machine_checks(Path())}
    assert rows["port 6006"].verdict is Verdict.WARN


def node(answered: NodeAnswer | None, cpus: float = 1, failure: str = "") -> SurveyedNode:
    return SurveyedNode("10.0.0.2", cpus, 0, False, answered, failure)


def test_nodes_are_compared_with_this_machine() -> None:
    here = answer()._replace(shm_bytes=2**33, cores=4)
    other = here._replace(versions={**here.versions, "ray": "2.9.0"})
    cases = [
        (node(here), [Verdict.PASS, Verdict.PASS], ""),
        (node(other), [Verdict.FAIL, Verdict.PASS], f"ray 2.9.0, here {here.versions['ray']}"),
        (node(here._replace(python="3.9.1")), [Verdict.FAIL, Verdict.PASS], "python 3.9.1"),
        (node(here, cpus=64), [Verdict.PASS, Verdict.WARN], "64 cores allotted of 4"),
        (node(here._replace(shm_bytes=2**26)), [Verdict.PASS, Verdict.WARN], "/dev/shm 0.1 GiB"),
        (node(None, failure="no answer within 60 s"), [Verdict.FAIL], "no answer"),
    ]
    for surveyed, verdicts, text in cases:
        checks = list(node_checks([surveyed], here))
        assert [check.verdict for check in checks] == verdicts
        assert text in " ".join(check.found for check in checks)


@pytest.mark.cluster
@pytest.mark.timeout(300)
def test_every_node_of_a_running_cluster_is_asked(head: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    address, user = head
    for where, token in (((), {}), (("--address", address), {"RAY_AUTH_MODE": "token"})):
        command = [*PROGRAM, "doctor", "--cluster", *where, "--runs", str(tmp_path), "--json"]
        done = subprocess.run(command, env=user | token, capture_output=True, text=True, timeout=200)
        assert done.stdout, done.stderr
        rows = json.loads(done.stdout)
        (cluster,) = [row for row in rows if row["name"] == "cluster"]
        assert cluster["verdict"] == "PASS" and cluster["found"].startswith("1 node, 1 core, 0 GPUs")
        versions, resources = [row for row in rows if row["name"].startswith("node ")]
        assert versions["verdict"] == "PASS" and "the versions of this one" in versions["found"]
        assert "1 core allotted of" in resources["found"]
        assert done.returncode == any(row["verdict"] == "FAIL" for row in rows)
        assert done.stderr == ""


def test_a_cluster_must_run(stars_dist: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    done = stars_dist("doctor", "--cluster")
    assert done.code == 2 and "127.0.0.1:1" in done.err


def test_a_row_goes_on_below_itself_on_a_narrow_terminal() -> None:
    text = table([Check("disk", Verdict.WARN, "one two three four", "do this and do that")], columns=24)
    assert text.splitlines() == [
        "WARN  disk  one two",
        "            three four",
        "            fix: do this",
        "                 and do",
        "                 that",
        "0 PASS, 1 WARN, 0 FAIL",
    ]


def test_a_fix_stands_under_its_row() -> None:
    text = table([Check("disk", Verdict.WARN, "1 GiB", "free some"), Check("a", Verdict.PASS, "b", "unseen")])
    assert text.splitlines() == [
        "WARN  disk  1 GiB",
        "            fix: free some",
        "PASS  a     b",
        "1 PASS, 1 WARN, 0 FAIL",
    ]
