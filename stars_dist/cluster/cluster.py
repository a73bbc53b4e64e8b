"""The processes of one run on a Ray cluster: starts them, wires them together and kills them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ray
from ray._private import state

from actors.cores import num_cores
from replay_service.identity import give_identity
from replay_service.transport import ray_shard_class
from stars_dist.cluster.coordinator import Coordinator
from stars_dist.cluster.placement import learner_threads
from stars_dist.cluster.processes import LearnerProcess, RolloutProcess
from stars_dist.cluster.reservation import Reservation
from stars_dist.config.run_plan import RunPlan
from stars_dist.run_files.directory import RunDirectory
from stars_dist.run_files.snapshot_place import snapshot_store

FEW = 8  # processes, of which Ray is asked one by one
CLOSE_S = 15.0  # what is not closed by then is checked row by row at the next start
RESERVED_SERVICE_CALLS = 16  # threads of a shard beyond those that waiting inserts may hold


class RunningProcess(NamedTuple):
    """A process whose `run` is in progress."""

    handle: Any
    run: Any  # reference that is done when `run` has returned or failed
    cpus: float = 0.0  # that it asked for


class Cluster:
    """The processes of one run.

    Shards and the coordinator are restarted by Ray behind the same handle; actors and the learner are started anew
    by the supervisor, which counts their incarnations.
    """

    def __init__(self, run: RunDirectory, plan: RunPlan, reservation: Reservation) -> None:
        self.placement = reservation.placement
        self._plan, self._reservation = plan, reservation
        self._run_dir = run.path.resolve()
        options = {"num_cpus": 0, "max_restarts": -1, "scheduling_strategy": reservation.here}
        self.coordinator = _remote(Coordinator).options(**options).remote()
        self.shards = self._start_shards(run)

    def _start_shards(self, run: RunDirectory) -> list[Any]:
        plan = self._plan.replay
        shard_class = ray_shard_class(waiting_inserts(self._plan) + RESERVED_SERVICE_CALLS)
        identity = give_identity(run.replay).name
        places = (run.replay.resolve(), snapshot_store(run, self._plan).directory, identity)
        options = [
            {"max_restarts": -1} | self._reservation.of_shard(index) for index in range(plan.num_shards)
        ]
        return [shard_class.options(**own).remote(i, plan, *places) for i, own in enumerate(options)]

    def close_shards(self) -> None:
        """Have the shards bring what they hold to the disk and mark it as whole; nothing is stored after that."""
        ray.wait(
            [shard.close.remote() for shard in self.shards], num_returns=len(self.shards), timeout=CLOSE_S
        )

    def start_actor(self, actor: int, incarnation: int, cpus: float) -> RunningProcess:
        """Start a rollout actor with a core or a share of one."""
        remote = _remote(RolloutProcess).options(num_cpus=cpus)
        handle = remote.remote(self._run_dir, self._plan, actor, incarnation, self.shards, self.coordinator)
        return RunningProcess(handle, handle.run.remote(), cpus)

    def start_learner(self, checkpoint: Path | None) -> RunningProcess:
        """Start the learner where the checkpoint left it; it starts the further ones, if there are to be more."""
        options = self._reservation.of_learner()
        remote = _remote(LearnerProcess).options(max_concurrency=4, **options)
        threads = learner_threads(self._plan, self.placement, num_cores())
        learner = self._plan.config.learner.model_copy(update={"torch_threads": threads})
        plan = self._plan.override(learner=learner)
        handle = remote.remote(self._run_dir, plan, self.shards, self.coordinator, checkpoint, options)
        return RunningProcess(handle, handle.run.remote())


def waiting_inserts(plan: RunPlan) -> int:
    """Count the chunks that may wait in one shard at most: those of its own tasks, and of an actor before each actor.

    A chunk of an actor that was killed waits on until its call times out, beside those of its successor.
    """
    tasks, shards = plan.num_tasks, plan.replay.num_shards
    actors_per_task = -(-max(plan.num_actors, tasks) // tasks)
    return 2 * -(-tasks // shards) * actors_per_task * plan.replay.replay.max_unacknowledged_chunks


def _remote(plain_class: type) -> Any:
    """Make the Ray actor class of a plain class; Ray's own types do not know its methods."""
    return ray.remote(plain_class)


def kill(process: RunningProcess) -> None:
    """End a process of this run at once."""
    ray.kill(process.handle, no_restart=True)


def restart_in_place(handle: Any) -> None:
    """End a process that Ray starts again behind its handle, even a stopped one: after 5 s Ray sends it SIGKILL."""
    ray.kill(handle, no_restart=False)


def restarts_of(handle: Any) -> int:
    """Count how often Ray has started a process again behind its handle."""
    known: Any = state.actors(handle._actor_id.hex())
    return int(known.get("NumRestarts", 0))


def has_place(process: RunningProcess) -> bool:
    """Return whether Ray has found a node with room for a process and has made it there."""
    return bool(find_places([process]))


def find_places(processes: Sequence[RunningProcess]) -> dict[str, str]:
    """Find the nodes on which processes were made, by `name_of` the process; one that waits for room is left out."""
    names = [name_of(process) for process in processes]
    if len(names) <= FEW:
        known = {name: state.actors(name) for name in names}
    else:
        known = state.actors(job_id=ray.JobID.from_hex(ray.get_runtime_context().get_job_id()))
    return {name: known[name]["Address"]["NodeID"] for name in names if known.get(name, {}).get("Pid")}


def name_of(process: RunningProcess) -> str:
    """Return Ray's name of a process."""
    return process.handle._actor_id.hex()
