"""Checks of this machine: cores, memory, shared memory, disk, open files, places that are written to, ports."""

from __future__ import annotations

import os
import resource
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from actors.cores import num_cores
from actors.free_memory import free_memory_bytes
from stars_dist.cluster.actor_memory import GIB, fitting_actors
from stars_dist.config.count_words import counted
from stars_dist.doctor.check import Check, Verdict, passed

LEAST_SHM = 2 * GIB  # Ray's object store spills to disk below
LEAST_DISK, SCARCE_DISK = 2 * GIB, 20 * GIB  # mt50's replay takes 2.3 GB, its checkpoints 1 GB
OPEN_FILES = 4096  # Ray keeps some 50 per process
PORTS = {6006: "TensorBoard", 8265: "Ray's dashboard"}


def machine_checks(directory: Path) -> Iterator[Check]:
    """Check the machine for runs that are to lie in a directory."""
    yield _cores()
    yield _memory()
    yield _shared_memory(Path("/dev/shm"))
    yield _disk(directory)
    yield _open_files()
    yield from (_writable(name, place) for name, place in _written(directory))
    yield from (_port(port, what) for port, what in PORTS.items())


def _cores() -> Check:
    cores, all_cores = num_cores(), os.cpu_count() or 1
    found = f"{cores} of {all_cores} cores are this process's"
    if cores == 1:
        return Check("cores", Verdict.WARN, found, "use --serial, or give the container more than one core")
    return passed("cores", f"{found}; up to {cores} actors act at a time")


def _memory() -> Check:
    free = free_memory_bytes()
    found = f"{free / GIB:.1f} GiB free"
    actors = fitting_actors(free)
    if not actors:
        return Check("memory", Verdict.WARN, found, "free some: a run takes 2 to 4 GiB; --serial the least")
    return passed("memory", f"{found}, enough for about {counted(actors, 'actor')}")


def _shared_memory(place: Path) -> Check:
    if not place.is_dir():
        return Check("/dev/shm", Verdict.WARN, "absent; Ray keeps objects on disk", "mount a tmpfs there")
    total = shutil.disk_usage(place).total
    found = f"{total / GIB:.1f} GiB"
    if total < LEAST_SHM:
        fix = "docker run --shm-size=4g (Kubernetes: an emptyDir of medium Memory); Ray spills to disk below 2 GiB"
        return Check("/dev/shm", Verdict.WARN, found, fix)
    return passed("/dev/shm", found)


def _disk(directory: Path) -> Check:
    place = next(path for path in (directory.absolute(), *directory.absolute().parents) if path.exists())
    free = shutil.disk_usage(place).free
    found = f"{free / GIB:.0f} GiB free at {place}"
    fix = "free some or use --run-dir on another disk: mt50 takes 4 GiB, each checkpoint some 50 MB"
    if free < LEAST_DISK:
        return Check("disk", Verdict.FAIL, found, fix)
    return Check("disk", Verdict.WARN, found, fix) if free < SCARCE_DISK else passed("disk", found)


def _open_files() -> Check:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    found = f"{'no limit' if soft == resource.RLIM_INFINITY else soft}"
    if soft != resource.RLIM_INFINITY and soft < OPEN_FILES:
        return Check("open files", Verdict.WARN, found, "ulimit -n 65536, needed from about 20 actors on")
    return passed("open files", found)


def _written(directory: Path) -> list[tuple[str, Path]]:
    return [("runs", directory), ("home", Path.home()), ("temporary files", Path(tempfile.gettempdir()))]


def _writable(name: str, place: Path) -> Check:
    nearest = next(path for path in (place.absolute(), *place.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=nearest):
            return passed(name, f"{place} can be written to")
    except OSError:
        pass
    variable = {"home": "HOME", "temporary files": "TMPDIR"}.get(name)
    fix = f"set {variable} to a directory of yours" if variable else "use --run-dir"
    return Check(name, Verdict.FAIL, f"{nearest} cannot be written to", fix)


def _port(port: int, what: str) -> Check:
    name = f"port {port}"
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return Check(
                name, Verdict.WARN, f"in use, perhaps by another {what}", f"give {what} another port"
            )
    return passed(name, f"free for {what}")
