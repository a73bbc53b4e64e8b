"""The connection to Ray: joins the cluster that the user means, or starts one for this run alone."""

from __future__ import annotations

import logging
import math
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import ray
import ray._private.ray_constants
import ray._private.utils
from ray._private.utils import read_ray_address

from actors.blas_threads import single_threaded_children
from actors.cores import num_cores
from stars_dist.cluster.auth_token import prepare_token, use_token_if_there
from stars_dist.cluster.greeting import refusal, silence_of
from stars_dist.cluster.process_group import children_end_with_this_program

LONGEST_TEMP_DIR = 35
START_TRIES = 3
START_TIMEOUT_TEXT = "timed out during startup"  # of Ray's error, which is a bare Exception
LOOPBACK = "127.0.0.1"
PACKAGES = Path(__file__).resolve().parent.parent.parent


def connect(address: str, num_actors: int) -> bool:
    """Join a Ray cluster or start a local one; return whether it was started here.

    `auto` joins the cluster that RAY_ADDRESS names or that `ray start` left running on this machine. Ray's own
    "auto" would also join the private cluster of any other run here, and end with it.

    Raises:
        ValueError: no cluster answers at the address.
    """
    source = "--address"
    if address == "auto" and os.environ.get("RAY_ADDRESS", "auto") not in ("auto", ""):
        source, address = "RAY_ADDRESS", os.environ["RAY_ADDRESS"]
    if address == "auto" and (started := _started_cluster()) is not None:
        address = started
        use_token_if_there()
    options: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": logging.ERROR,
        "namespace": "stars-dist",
    }
    if address in ("auto", "local"):
        _start_local(num_actors, options)
        return True
    if (refused := refusal(address)) is not None:
        raise _not_joined(source, address, *refused)
    try:
        _init(address=address, **options)
    except (ConnectionError, RuntimeError) as error:
        raise _not_joined(source, address, str(error), "use the same Python version, or local") from None
    return False


def _not_joined(source: str, address: str, reason: str, remedy: str) -> ValueError:
    return ValueError(
        f"{source} must name a running Ray cluster as HOST:PORT, got '{address}' ({reason}); {remedy}"
    )


def _start_local(num_actors: int, options: dict[str, Any]) -> None:
    """Start a cluster of this machine's cores."""
    # All processes of the cluster inherit the one thread. On a cluster that runs already Ray itself gives a
    # process as many as its reserved cores. A runtime_env of each process would do the same, but Ray then
    # starts Python twice: half a second of a core per process, and three times as long until fifty are up.
    try:
        prepare_token()
        with single_threaded_children(), children_end_with_this_program(), _on_loopback():
            _init_patiently(
                address="local",
                num_cpus=num_cores(),
                include_dashboard=False,
                _system_config={"worker_maximum_startup_concurrency": _started_at_a_time(num_actors)},
                _temp_dir=_temp_dir(),
                _node_ip_address=LOOPBACK,
                **options,
            )
    except OSError as error:
        raise ValueError(
            f"Ray must be able to write its files, it cannot ({error}); set HOME and TMPDIR to directories "
            "that can be written to"
        ) from None


@contextmanager
def _on_loopback() -> Iterator[None]:
    """Let a new cluster listen on this machine's loopback alone, as Ray itself does on Windows and macOS.

    Elsewhere it puts the address of the machine in the place of 127.0.0.1, and listens on every interface.
    """
    enabled = ray._private.ray_constants.ENABLE_RAY_CLUSTER
    ray._private.ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray._private.ray_constants.ENABLE_RAY_CLUSTER = enabled


def _init_patiently(**options: Any) -> None:
    """Start Ray, which gives itself 30 s: on a machine that is busy with other things it is tried again."""
    before = psutil.Process().children(recursive=True)
    for tries_left in reversed(range(START_TRIES)):
        try:
            _init(**options)
            return
        except Exception as error:
            ray.shutdown()
            for process in psutil.Process().children(recursive=True):
                if process not in before:  # Ray would end those of a failed start with this program
                    with suppress(psutil.NoSuchProcess):
                        process.kill()
            if START_TIMEOUT_TEXT not in str(error):
                raise
            if not tries_left:
                raise ValueError(
                    f"Ray must start within 30 s, it did not in {START_TRIES} tries; start the run when this "
                    "machine is less busy, or use --serial"
                ) from None


def _init(**options: Any) -> None:
    """Call ray.init from where the packages lie.

    Ray puts the directory that it is called from first among those that its processes import from: a file learner.py
    in the directory of the user would take the place of the package.
    """
    with _own_signals(), chdir(PACKAGES):
        ray.init(**options)


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep this program's handler of SIGTERM, which saves the run first: ray.init would put others in its place.

    Its Python handlers exit at once. The one of its C++ library calls this program's, and aborts 3 s later.
    """
    handler = signal.getsignal(signal.SIGTERM)
    put = ray._private.utils.set_sigterm_handler
    ray._private.utils.set_sigterm_handler = lambda handler: None
    try:
        yield
    finally:
        ray._private.utils.set_sigterm_handler = put
        signal.signal(signal.SIGTERM, handler)
        signal.alarm(0)  # of a SIGTERM while the C++ library's handler was in place


def _temp_dir() -> str | None:
    """Choose where Ray keeps its sockets, whose paths have at most 107 characters; None: where it would by itself."""
    place = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    return None if len(place) <= LONGEST_TEMP_DIR else "/tmp/ray"


def _started_at_a_time(num_processes: int) -> int:
    """Choose how many start at once: Ray's choice is the cores, and past four times that many in all it warns."""
    return max(num_cores(), math.ceil(num_processes / 3))


def running_address(address: str) -> str | None:
    """Find the cluster that `auto` would join, if one runs; any other address as it is."""
    if address != "auto":
        return address
    return os.environ.get("RAY_ADDRESS") or _started_cluster()


def _started_cluster() -> str | None:
    """Find the cluster of the last `ray start` on this machine, if it still runs."""
    address = read_ray_address()
    return address if address and silence_of(address) is None else None
