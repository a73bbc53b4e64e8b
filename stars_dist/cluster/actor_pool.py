"""The pool of a run's actors: which are there, which hang, and which serve the tasks of those that are away."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from actors.assignment import assign_tasks, cover_tasks
from stars_dist.cluster.coordinator import Heartbeat
from stars_dist.cluster.periodic_call import PeriodicCall
from stars_dist.cluster.supervised_process import SupervisedProcess
from stars_dist.config.run_plan import RunPlan
from stars_dist.monitor.run_monitor import RunMonitor


class ActorPool:
    """Collects the actors' heartbeats from the coordinator and assigns each its tasks there."""

    def __init__(
        self,
        plan: RunPlan,
        processes: Sequence[SupervisedProcess],
        coordinator: Any,
        monitor: RunMonitor,
        period_s: float,
    ) -> None:
        self._config, self._processes, self._monitor = plan.config.actors, processes, monitor
        self._task_names = plan.suite.task_names
        self._assigned = assign_tasks(plan.num_tasks, len(processes))
        self._serving = dict(enumerate(self._assigned))
        self._last_arrival = time.monotonic()
        self._collection: PeriodicCall[tuple[Heartbeat, ...]] = PeriodicCall(
            lambda: coordinator.collect_heartbeats.remote(self._serving), period_s
        )

    def advance(self) -> None:
        """Take the heartbeats that came since the last call, restart hung actors, cover the tasks of absent ones.

        Raises:
            RunFailedError: an actor hangs again and again without getting anywhere.
        """
        for heartbeat in self._collection.advance() or ():
            process = self._processes[heartbeat.stats.actor]
            if process.is_running and heartbeat.stats.incarnation == process.incarnation:
                self._record(process, heartbeat)
        self._cover_absent()
        self._monitor.actors_alive = sum(p.is_alive or p.is_finished for p in self._processes)

    def _record(self, process: SupervisedProcess, heartbeat: Heartbeat) -> None:
        if not process.is_ready:
            process.is_ready = True
            self._last_arrival = time.monotonic()
        if heartbeat.stats.env_steps > 0:
            process.record_progress()
        self._monitor.record_actor(heartbeat.stats)
        if heartbeat.age_s > self._config.hang_timeout_s:
            self._restart_hung(process, heartbeat)

    def _restart_hung(self, process: SupervisedProcess, heartbeat: Heartbeat) -> None:
        tasks = self._names(self._serving[heartbeat.stats.actor])
        cause = (
            f"no sign of life for {heartbeat.age_s:.0f} s from the step of an environment of {tasks}, more than "
            f"actors.hang_timeout_s"
        )
        process.record_failure(cause, f"last heartbeat: {heartbeat.stats}")
        self._monitor.log(f"{process.name} hangs ({cause}); starting it again")
        self._monitor.count_restart(process.kind)

    def _cover_absent(self) -> None:
        """Give the tasks of actors that are away for long to others. While actors still arrive, none is late."""
        now = time.monotonic()
        late = {
            actor
            for actor, process in enumerate(self._processes)
            if (since := process.away_since) is not None
            and now - max(since, self._last_arrival) > self._config.reassign_after_s
        }
        present = [actor for actor, process in enumerate(self._processes) if process.is_alive]
        serving = cover_tasks(self._assigned, late, present)
        for actor, task_ids in serving.items():
            if task_ids != self._serving[actor]:
                self._monitor.log(f"actor {actor} now serves {self._names(task_ids)}")
        self._serving = serving

    def _names(self, task_ids: Sequence[int]) -> str:
        return ", ".join(self._task_names[task] for task in task_ids)
