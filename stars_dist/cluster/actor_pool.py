"""The pool of a run's actors: which are there, which hang, and which serve the tasks of those that are away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from actors.assignment import assign_tasks, cover_tasks
from stars_dist.cluster.cluster import find_places
from stars_dist.cluster.coordinator import Heartbeat
from stars_dist.cluster.core_shares import ActorPlace, CoreShares
from stars_dist.cluster.deadlines import NO_PLACE
from stars_dist.cluster.running_clock import RunningClock
from stars_dist.cluster.supervised_process import SupervisedProcess
from stars_dist.config.run_plan import RunPlan
from stars_dist.monitor.run_monitor import RunMonitor

COVERED_AFTER_S = 5.0  # that an actor waits for a core
MANY_CHANGES = 3  # of assignments, that are worth a line each
PROGRESS_CHUNKS = 5  # that an actor has made before its next failure counts as the first


class ActorPool:
    """Takes the actors' heartbeats, as the coordinator has collected them, and assigns each its tasks.

    `clock` is that of the actors' watches and ticks with each collection: while the coordinator is away, or this
    program itself, no actor can be heard, so none grows silent.
    """

    def __init__(
        self,
        plan: RunPlan,
        processes: Sequence[SupervisedProcess],
        monitor: RunMonitor,
        clock: RunningClock,
        shares: CoreShares,
    ) -> None:
        self._shares = shares
        self._without_core: set[int] = set()  # until they are there
        self._config, self._processes, self._monitor = plan.config.actors, processes, monitor
        self._task_names = plan.suite.task_names
        self._assigned = assign_tasks(plan.num_tasks, len(processes))
        self._serving = dict(enumerate(self._assigned))
        self._clock = clock
        self._not_late_before = clock.now  # the newest arrival of an actor, or that a service was not up
        self._no_place_told = False

    @property
    def serving(self) -> Mapping[int, tuple[int, ...]]:
        """The tasks that each actor is to serve."""
        return self._serving

    def record(self, heartbeats: Sequence[Heartbeat], are_services_up: bool) -> None:
        """Take a collection of heartbeats, restart hung actors, cover the tasks of absent ones.

        An actor that starts waits for its shards before its first heartbeat: while one of those starts, none is late.

        Raises:
            RunFailedError: an actor hangs again and again without getting anywhere.
        """
        self._clock.tick()
        if not are_services_up:
            self._not_late_before = self._clock.now
        for heartbeat in heartbeats:
            process = self._processes[heartbeat.stats.actor]
            if process.is_running and heartbeat.stats.incarnation == process.incarnation:
                self._record(process, heartbeat)
        waiting = [process.process for process in self._processes if process.waits_for_place]
        places = find_places([process for process in waiting if process is not None])
        for actor, process in enumerate(self._processes):
            process.find_place(places)
            self._check(actor, process)
        self._cover_absent()
        self._monitor.actors_alive = sum(p.is_alive or p.is_finished for p in self._processes)
        self._share_cores()

    def _share_cores(self) -> None:
        """Have actors start anew with another share of a core, when the nodes of the cluster have changed."""
        running = [
            ActorPlace(actor, process.process.cpus, process.node, process.watch.waited_s)
            for actor, process in enumerate(self._processes)
            if process.process is not None
        ]
        for actor in self._shares.advance(running, self._monitor.actors_alive):
            self._processes[actor].start_anew()

    def _record(self, process: SupervisedProcess, heartbeat: Heartbeat) -> None:
        if not process.is_alive:
            self._not_late_before = self._clock.now
        if process.last_heartbeat != heartbeat.number:
            process.last_heartbeat = heartbeat.number
            process.watch.record_answer()
            process.watch.record_question()  # it owes the next one
        if heartbeat.stats.env_steps >= PROGRESS_CHUNKS * self._config.chunk_steps:
            process.record_progress()
        self._monitor.record_actor(heartbeat.stats)

    def _check(self, actor: int, process: SupervisedProcess) -> None:
        if not process.is_running:
            return
        # While actors still arrive, the machine is busy with them and none is late.
        if (slow := process.watch.slow_start(not_before=self._not_late_before)) is not None:
            self._log_slow_start(process, slow)
        cause = process.watch.overdue(not_before=self._not_late_before)
        if cause is not None:
            self._restart_hung(actor, process, cause)

    def _log_slow_start(self, process: SupervisedProcess, slow: str) -> None:
        """Log it; of many actors without a place the first one is enough."""
        if slow.startswith(NO_PLACE):
            if self._no_place_told:
                return
            self._no_place_told, slow = True, f"{slow}; other actors may wait too"
        self._monitor.log(f"{process.name} {slow}")

    def _restart_hung(self, actor: int, process: SupervisedProcess, cause: str) -> None:
        if process.is_alive:
            tasks = self._names(self._serving[actor])
            cause = f"{cause} from the step of an environment of {tasks}, more than actors.hang_timeout_s"
        process.record_failure(cause, "killed by the supervisor")
        self._monitor.log(f"{process.name} hangs ({cause}); starting it again")
        self._monitor.count_restart(process.kind)

    def _cover_absent(self) -> None:
        """Give the tasks of actors that are away for long to others. While actors still arrive, none is late."""
        now = self._clock.now
        self._note_cores()
        late = self._without_core | {
            actor
            for actor, process in enumerate(self._processes)
            if (since := process.away_since) is not None
            and now - max(since, self._not_late_before) > self._config.reassign_after_s
        }
        present = [actor for actor, process in enumerate(self._processes) if process.is_alive]
        serving = cover_tasks(self._assigned, late, present)
        changed = [actor for actor, task_ids in serving.items() if task_ids != self._serving[actor]]
        for actor in changed[:MANY_CHANGES]:
            self._monitor.log(f"actor {actor} now serves {self._names(serving[actor])}")
        if more := len(changed[MANY_CHANGES:]):
            self._monitor.log(
                f"{more} more actors now serve other tasks; {len(late)} are away or wait for a core"
            )
        self._serving = serving

    def _note_cores(self) -> None:
        """Note which actors wait for a core, which may take minutes or for ever, until they are there."""
        for actor, process in enumerate(self._processes):
            if process.is_alive:
                self._without_core.discard(actor)
            elif (
                self._shares.is_waiting
                and process.waits_for_place
                and process.watch.waited_s > COVERED_AFTER_S
            ):
                self._without_core.add(actor)

    def _names(self, task_ids: Sequence[int]) -> str:
        return ", ".join(self._task_names[task] for task in task_ids)
