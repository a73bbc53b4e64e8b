"""Checks of a Ray cluster: every node answers, has the versions of this one, and its cores and memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stars_dist.cluster.node_survey import NodeAnswer, SurveyedNode, answer, survey
from stars_dist.config.count_words import counted
from stars_dist.doctor.check import Check, Verdict, passed
from stars_dist.doctor.machine import GIB, LEAST_SHM


def cluster_checks(address: str) -> Iterator[Check]:
    """Check the cluster at an address; ValueError where none runs."""
    nodes = survey(address)
    cpus, gpus = sum(node.cpus for node in nodes), sum(node.gpus for node in nodes)
    sizes = (counted(len(nodes), "node"), counted(cpus, "core"), counted(gpus, "GPU"))
    yield passed("cluster", f"{', '.join(sizes)} that Ray hands out")
    yield from node_checks(nodes, answer())


def node_checks(nodes: Sequence[SurveyedNode], here: NodeAnswer) -> Iterator[Check]:
    """Compare each node's answer with this machine's."""
    for node in nodes:
        name = f"node {node.address}"
        if node.answer is None:
            fix = "ray status; start it anew with the same Ray and Python, and reach its ports from here"
            yield Check(name, Verdict.FAIL, node.failure, fix)
            continue
        yield _versions(name, node.answer, here)
        yield _resources(name, node, node.answer)


def _versions(name: str, found: NodeAnswer, here: NodeAnswer) -> Check:
    pairs = {"python": (found.python, here.python)} | {
        package: (version, here.versions[package]) for package, version in found.versions.items()
    }
    differing = [f"{what} {there}, here {own}" for what, (there, own) in pairs.items() if there != own]
    if differing:
        fix = "install the same environment on all nodes (deploy/cluster.yaml does); Ray wants the same patch version"
        return Check(name, Verdict.FAIL, "; ".join(differing), fix)
    return passed(name, f"the versions of this one, Python {found.python}, Ray {found.versions['ray']}")


def _resources(name: str, node: SurveyedNode, found: NodeAnswer) -> Check:
    said = (
        f"{counted(node.cpus, 'core')} allotted of {found.cores}, {found.memory_bytes / GIB:.1f} GiB free, "
        f"/dev/shm {found.shm_bytes / GIB:.1f} GiB"
    )
    if node.cpus > found.cores:
        return Check(
            name, Verdict.WARN, said, f"ray start --num-cpus {found.cores}: more are promised than there are"
        )
    if found.shm_bytes < LEAST_SHM:
        return Check(name, Verdict.WARN, said, "docker run --shm-size=4g")
    return passed(name, said)
