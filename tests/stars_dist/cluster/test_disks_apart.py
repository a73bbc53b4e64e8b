"""A run on two nodes whose disks are apart: services stay where the run directory is, and actors go where cores are."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from stars_dist.chaos.nodes import Nodes
from stars_dist.chaos.stored_transitions import audit_transitions
from tests.stars_dist.cluster.test_actors import Run, _title, start

__all__ = ["start"]

SUITE = ["--suite", "toy:4", "--actors", "4", "--steps", "1000000", "--checkpoint-every", "600"]
PATIENT = ["--set", "actors.hang_timeout_s=60", "--set", "answer_timeout_s=60"]
LONG_S = 300.0  # on a busy machine


@pytest.fixture
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Nodes, psutil.Process]]:
    """Nodes of three cores, and the driver's; the other one finds an empty file system where the run directory is."""
    hidden = tmp_path / "run"
    hidden.mkdir()
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as place:
        nodes = Nodes(1, hidden, Path(place) / "head", cpus=3)
        for name, value in nodes.environment.items():
            monkeypatch.setenv(name, value)
        try:
            yield nodes, nodes.start_all()[0]
        finally:
            nodes.stop_all()


def of_kind(node: psutil.Process, kind: str) -> list[psutil.Process]:
    """The processes of a class on a node."""
    return [
        process for process in node.children(recursive=True) if _title(process).startswith(f"ray::{kind}")
    ]


def goes_on(run: Run) -> None:
    before = run.inserted()
    run.wait_for(lambda: (run.inserted() > before + 200).all(), LONG_S)


@pytest.mark.cluster
@pytest.mark.chaos
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_nothing_is_lost_or_counted_twice_where_disks_are_apart(
    apart: tuple[Nodes, psutil.Process], start: Callable[..., Run], tmp_path: Path
) -> None:
    """A shard, the learner and then the other node are lost: rows stay, updates go on, actors move, and back again."""
    nodes, here = apart
    log = tmp_path / "acknowledged"
    run = start(*SUITE, *PATIENT, "--address", nodes.address, "--set", f"replay.acknowledgement_log={log}")
    run.wait_for(lambda: run.inserted().min() > 400, LONG_S)
    run.wait_for(lambda: any((run.path / "checkpoints").glob("step-*")), LONG_S)
    for kind in ("Shard", "LearnerProcess"):
        (victim,) = of_kind(here, kind)
        victim.kill()
        goes_on(run)
        run.wait_for(lambda kind=kind: len(of_kind(here, kind)) == 1, LONG_S)
    # the others have the cores of the other node: learner and shard have two of the three here
    run.wait_for(lambda: len(of_kind(here, "RolloutProcess")) == 1, LONG_S)
    nodes.kill(1)
    run.wait_for(lambda: "4 actors have 1 cores from now on, 0.25 of a core each" in run.output, LONG_S)
    run.wait_for(lambda: len(of_kind(here, "RolloutProcess")) == 4, LONG_S)
    goes_on(run)
    nodes.start(1)
    run.wait_for(lambda: "4 actors have 4 cores from now on, a core each" in run.output, LONG_S)
    goes_on(run)
    run.end()
    audit = audit_transitions(run.path / "replay", log, ())
    assert audit.acknowledged > 2000
    assert (audit.lost, audit.duplicates) == (0, 0)
