"""The supervisor of a distributed run: starts its processes and restarts those that die, until the run is done.

             consumes                        produces                    waits for            is unblocked by
_start_due   what ended, back-off times      actors, learner             -                    time
_reap        ends of actors and learner      restarts, RunFailedError    0.2 s per round      an end
_collect     heartbeats, statuses, counters  the monitor's news          nothing              -
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import ray
import ray.exceptions

from actors.assignment import assign_tasks
from replay_service.types import ShardStats
from stars_dist.cluster.actor_pool import ActorPool
from stars_dist.cluster.cluster import Cluster, RunningProcess
from stars_dist.cluster.evaluation import PeriodicEvaluation
from stars_dist.cluster.periodic_call import PeriodicCall
from stars_dist.cluster.processes import LearnerStatus
from stars_dist.cluster.supervised_process import SupervisedProcess
from stars_dist.config.run_plan import RunPlan
from stars_dist.errors import RunFailedError
from stars_dist.monitor.run_monitor import RunMonitor
from stars_dist.run_files.directory import RunDirectory
from stars_dist.run_files.replay_files import PeriodicSnapshots
from stars_dist.run_files.resume_point import resume_point

TICK_S = 0.2
CALL_PERIOD_S = 1.0
SHARD_SILENCE_S = 120.0  # after which a shard counts as lost for good
STOP_DEADLINE_S = 120.0
LAST_STATUS_S = 5.0


class Supervisor:
    """Owns the supervised processes, actors and learner, and the periodic calls that feed the monitor."""

    def __init__(
        self,
        run: RunDirectory,
        plan: RunPlan,
        cluster: Cluster,
        monitor: RunMonitor,
        first_incarnation: int,
    ) -> None:
        self._run, self._plan, self._cluster, self._monitor = run, plan, cluster, monitor
        failures = run.failures_file
        self.actors = [
            SupervisedProcess("actor", self._actor_name(i), self._actor_start(i), failures, first_incarnation)
            for i in range(plan.num_actors)
        ]
        self.learner = SupervisedProcess(
            "learner", "learner", self._start_learner, failures, first_incarnation
        )
        self._actor_pool = ActorPool(plan, self.actors, cluster.coordinator, monitor, CALL_PERIOD_S)
        self._learner_status: PeriodicCall[LearnerStatus] = PeriodicCall(
            self._request_learner_status, CALL_PERIOD_S
        )
        self._shard_stats: list[PeriodicCall[ShardStats]] = [
            PeriodicCall(lambda shard=shard: self._request_shard_stats(shard), CALL_PERIOD_S)
            for shard in cluster.shards
        ]
        self._shard_incarnations: dict[int, int] = {}
        self._learner_started_at = 0

    def run(
        self,
        interrupted: threading.Event,
        evaluations: PeriodicEvaluation,
        snapshots: PeriodicSnapshots,
    ) -> bool:
        """Run until every step is made and learned from; return False if interrupted before that.

        Raises:
            RunFailedError: a process keeps failing, or a shard stays away.
        """
        while not self._is_done():
            if interrupted.is_set():
                return False
            self._start_due()
            self._reap()
            self._collect()
            evaluations.advance()
            snapshots.advance(self._monitor.env_steps)
            self._monitor.tick()
        return True

    def stop(self) -> None:
        """End the run's own processes; the learner saves a checkpoint first."""
        for actor in self.actors:
            actor.end()
        learner = self.learner.process
        if learner is not None:
            learner.handle.stop.remote()
            deadline = time.monotonic() + STOP_DEADLINE_S
            while time.monotonic() < deadline and not ray.wait([learner.run], timeout=TICK_S)[0]:
                self._record_learner_status()
            self._record_last_status()
        self.learner.end()

    def _start_due(self) -> None:
        """Start the processes that are due, of the actors only so many at a time.

        A hundred that start at once are ready only when the last one is, hold the memory of a hundred compilations of
        a model, and leave shards and learner no time to answer.
        """
        self.learner.start_if_due()
        starting = sum(actor.is_running and not actor.is_ready for actor in self.actors)
        for actor in self.actors:
            if starting >= self._cluster.max_starting_actors:
                return
            if not actor.is_running:
                actor.start_if_due()
                starting += actor.is_running

    def _is_done(self) -> bool:
        return self.learner.is_finished and all(actor.is_finished for actor in self.actors)

    def _reap(self) -> None:
        processes = [self.learner, *self.actors]
        runs = {process.process.run: process for process in processes if process.process is not None}
        if not runs:
            time.sleep(TICK_S)
            return
        done, _ = ray.wait(list(runs), num_returns=len(runs), timeout=TICK_S)
        for reference in done:
            process = runs[reference]
            if process is self.learner:
                self._record_last_status()
            cause = process.reap()
            if cause is not None:
                self._monitor.log(f"{process.name} failed ({cause}); starting it again")
                self._monitor.count_restart(process.kind)

    def _collect(self) -> None:
        self._actor_pool.advance()
        self._record_learner_status()
        for index, call in enumerate(self._shard_stats):
            stats = call.advance()
            if stats is not None:
                self._record_shard(index, stats)
            elif call.silent_s > SHARD_SILENCE_S:
                raise RunFailedError(f"shard {index} has not answered for {call.silent_s:.0f} s")

    def _record_learner_status(self) -> None:
        if self.learner.is_running and (status := self._learner_status.advance()) is not None:
            self.learner.is_ready = True
            if status.learner_steps > self._learner_started_at:
                self.learner.record_progress()
            self._monitor.record_learner(status.learner_steps, status.reports)

    def _record_last_status(self) -> None:
        """Record the reports of a learner whose `run` has ended; a dead one has none."""
        try:
            status: LearnerStatus = ray.get(self._request_learner_status(), timeout=LAST_STATUS_S)
        except (ray.exceptions.RayActorError, ray.exceptions.GetTimeoutError):
            return
        self._monitor.record_learner(status.learner_steps, status.reports)

    def _record_shard(self, index: int, stats: ShardStats) -> None:
        before = self._shard_incarnations.get(index)
        self._shard_incarnations[index] = stats.incarnation
        if before is not None and stats.incarnation != before:
            self._monitor.log(f"shard {index} was restarted and holds {stats.size.sum():,} transitions")
            self._monitor.count_restart("shard")
        self._monitor.record_shard(index, stats)

    def _actor_name(self, actor: int) -> str:
        tasks = assign_tasks(self._plan.num_tasks, self._plan.num_actors)[actor]
        names = [self._plan.suite.task_names[task] for task in tasks]
        return f"actor {actor} ({', '.join(names[:3])}{', ...' if names[3:] else ''})"

    def _actor_start(self, actor: int) -> Callable[[int], RunningProcess]:
        return lambda incarnation: self._cluster.start_actor(actor, incarnation)

    def _start_learner(self, incarnation: int) -> RunningProcess:
        point = resume_point(self._run.path, self._monitor.log)
        self._learner_started_at = point.learner_steps if point else 0
        return self._cluster.start_learner(point.checkpoint.resolve() if point else None)

    def _request_learner_status(self) -> Any:
        assert self.learner.process is not None
        return self.learner.process.handle.status.remote()

    def _request_shard_stats(self, shard: Any) -> object:
        if self.learner.is_finished:  # nobody samples any more, so let the actors make their last steps
            return shard.set_insert_limit.remote(self._plan.total_updates, self._plan.replay.steps_per_task)
        return shard.stats.remote()
