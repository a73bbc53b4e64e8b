"""The supervisor of a distributed run: starts its processes and restarts those that die or freeze, until it is done.

             consumes                        produces                    waits for            is unblocked by
_start_due   what ended, back-off times      actors, learner             -                    time
_reap        ends of actors and learner      restarts, RunFailedError    0.2 s per round      an end
_collect     heartbeats, statuses, counters  the monitor's news, kills   nothing              -
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import ray
import ray.exceptions

from actors.assignment import assign_tasks
from replay_service.full_disk import PlaceGoneError
from stars_dist.cluster.actor_pool import ActorPool
from stars_dist.cluster.cluster import Cluster, RunningProcess
from stars_dist.cluster.core_shares import CoreShares
from stars_dist.cluster.deadlines import deadlines, running_clock
from stars_dist.cluster.evaluation import PeriodicEvaluation
from stars_dist.cluster.launches import read_launches
from stars_dist.cluster.node_room import read_cores
from stars_dist.cluster.periodic_call import PeriodicCall
from stars_dist.cluster.placement import most_starting_actors
from stars_dist.cluster.processes import LearnerStatus
from stars_dist.cluster.ray_processes import check_ray, lost_process
from stars_dist.cluster.service_pool import CALL_PERIOD_S, ServicePool
from stars_dist.cluster.supervised_process import SupervisedProcess
from stars_dist.config.run_plan import RunPlan
from stars_dist.errors import RunFailedError
from stars_dist.interruption import Interruption
from stars_dist.monitor.metrics import recorded_learning
from stars_dist.monitor.run_monitor import RunMonitor
from stars_dist.run_files.directory import RunDirectory
from stars_dist.run_files.replay_files import PeriodicSnapshots
from stars_dist.run_files.resume_point import ResumePoint, restart_point

TICK_S = 0.2
STOP_DEADLINE_S = 120.0
LAST_STATUS_S = 5.0
SHORTEST_PAUSE_S = 5.0  # that is worth a line


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
        self.clock = running_clock(plan.config)
        heartbeat_clock = running_clock(plan.config)  # stands still while the coordinator is away
        limits, failures = deadlines(plan.config), run.failures_file
        self._shares = CoreShares(
            plan.num_actors,
            cluster.placement,
            None if cluster.placement.is_own else plan.config.wait_for_cores_s,
            heartbeat_clock,
            monitor.log,
            read_cores,
            read_launches,
        )
        self.actors = [
            SupervisedProcess(
                "actor",
                self._actor_name(i),
                self._actor_start(i),
                failures,
                first_incarnation,
                limits["actor"],
                heartbeat_clock,
            )
            for i in range(plan.num_actors)
        ]
        self.learner = SupervisedProcess(
            "learner",
            "learner",
            self._start_learner,
            failures,
            first_incarnation,
            limits["learner"],
            self.clock,
        )
        self._actor_pool = ActorPool(plan, self.actors, monitor, heartbeat_clock, self._shares)
        self._services = ServicePool(
            plan, cluster, monitor, failures, self.clock, lambda: self._actor_pool.serving
        )
        self._learner_status: PeriodicCall[LearnerStatus] = PeriodicCall(
            self._request_learner_status, CALL_PERIOD_S, self.clock, self.learner.watch
        )
        self._learner_started_at = 0
        self._most_learner_steps = 0  # that a learner of this run has reached

    def run(
        self,
        interrupted: Interruption,
        evaluations: PeriodicEvaluation,
        snapshots: PeriodicSnapshots,
    ) -> bool:
        """Run until every step is made and learned from; return False if interrupted before that.

        Raises:
            RunFailedError: a process keeps failing; what lives was stopped, and the learner has saved.
        """
        try:
            while not self._is_done():
                if interrupted.is_set():
                    return False
                self._tick()
                check_ray()
                self._start_due()
                self._reap()
                self._collect()
                evaluations.advance()
                snapshots.advance(self._monitor.env_steps)
                self._monitor.tick()
        except RunFailedError as error:
            self._monitor.log(f"giving up ({error}); saving what can be saved")
            self.stop()
            raise
        return True

    def stop(self) -> None:
        """End the run's own processes; the learner saves a checkpoint first, and the shards close their files."""
        is_ray_there = lost_process() is None  # without it a kill would wait, and all end with this program
        for actor in self.actors if is_ray_there else ():
            actor.end()
        learner = self.learner.process
        # One that waits for a place or starts has made no update.
        if learner is not None and self.learner.is_alive:
            learner.handle.stop.remote()
            self._tick()
            deadline = self.clock.now + STOP_DEADLINE_S
            while self.clock.now < deadline and not ray.wait([learner.run], timeout=TICK_S)[0]:
                self._tick()
                if self._is_learner_frozen():
                    break
            self._record_last_status()
        if is_ray_there:
            self.learner.end()
        self._cluster.close_shards()

    def _start_due(self) -> None:
        """Start the processes that are due, of the actors only so many at a time.

        A hundred that start at once are ready only when the last one is, hold the memory of a hundred compilations of
        a model, and leave shards and learner no time to answer; beside five hundred the coordinator does not start.
        """
        self.learner.start_if_due()
        most = most_starting_actors(
            self._plan.num_actors,
            self._shares.actor_cpus,
            self._shares.cluster_cpus,
            self._services.are_up,
        )
        starting = sum(actor.is_starting for actor in self.actors)
        for actor in self.actors:
            if starting >= most:
                return
            if not actor.is_running:
                actor.start_if_due()
                starting += actor.is_running

    def _tick(self) -> None:
        paused_s = self.clock.tick()
        if paused_s > SHORTEST_PAUSE_S:
            self._monitor.log(
                f"this program itself stood still for {paused_s:.0f} s; no process is blamed for it"
            )

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
        self._services.is_sampled = not self.learner.is_finished
        heartbeats = self._services.advance()
        if heartbeats is not None:
            self._actor_pool.record(heartbeats, self._services.are_up)
        if self._is_learner_frozen():
            cause = self.learner.watch.overdue()
            assert cause is not None
            self._monitor.log(f"learner is frozen ({cause}); starting it again")
            self.learner.record_failure(cause, "killed by the supervisor")
            self._learner_status.forget()
            self._monitor.count_restart("learner")

    def _is_learner_frozen(self) -> bool:
        """Record the learner's status if it has come, and return whether it is past a deadline."""
        if not self.learner.is_running:
            return False
        self.learner.find_place()
        if (slow := self.learner.watch.slow_start()) is not None:
            self._monitor.log(f"learner {slow}")
        status = self._newest_learner_status()
        if status is not None:
            if status.learner_steps > self._learner_started_at:
                self.learner.record_progress(is_new=status.learner_steps > self._most_learner_steps)
                self._most_learner_steps = max(status.learner_steps, self._most_learner_steps)
            self._record_status(status)
        return self.learner.watch.overdue() is not None

    def _newest_learner_status(self) -> LearnerStatus | None:
        try:
            return self._learner_status.advance(lambda status: (status.learner_steps, status.waited_s))
        except ray.exceptions.RayError:
            return None  # of a learner that could not be built: its run has ended with the cause

    def _record_last_status(self) -> None:
        """Record the reports of a learner whose `run` has ended; a dead one has none.

        A call that was in flight at its end has the reports up to then, and they are handed over once.
        """
        for call in (self._learner_status.settle, self._last_status):
            status = call(LAST_STATUS_S)
            if status is not None:
                self._record_status(status)

    def _last_status(self, timeout_s: float) -> LearnerStatus | None:
        try:
            return ray.get(self._request_learner_status(), timeout=timeout_s)
        except ray.exceptions.RayError:
            return None

    def _record_status(self, status: LearnerStatus) -> None:
        self._monitor.record_learner(status.learner_steps, status.reports)
        for line in status.lines:
            self._monitor.log(line)

    def _actor_name(self, actor: int) -> str:
        tasks = assign_tasks(self._plan.num_tasks, self._plan.num_actors)[actor]
        names = [self._plan.suite.task_names[task] for task in tasks]
        return f"actor {actor} ({', '.join(names[:3])}{', ...' if names[3:] else ''})"

    def _actor_start(self, actor: int) -> Callable[[int], RunningProcess]:
        return lambda incarnation: self._cluster.start_actor(actor, incarnation, self._shares.actor_cpus)

    def _start_learner(self, incarnation: int) -> RunningProcess:
        point = self._point_to_start_from()
        self._learner_status.forget()
        self._learner_started_at = point.learner_steps if point else 0
        return self._cluster.start_learner(point.checkpoint.resolve() if point else None)

    def _point_to_start_from(self) -> ResumePoint | None:
        """Find the newest whole checkpoint; None where the learner may begin anew, as it had not saved yet."""
        metrics = self._run.metrics_file
        try:
            return restart_point(self._run, self._plan, lambda: recorded_learning(metrics), self._monitor.log)
        except (PlaceGoneError, ValueError) as error:
            raise RunFailedError(f"learner cannot start: {error}") from error

    def _request_learner_status(self) -> Any:
        assert self.learner.process is not None
        return self.learner.process.handle.status.remote()
