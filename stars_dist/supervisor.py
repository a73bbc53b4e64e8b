"""The supervisor of a distributed run: starts its processes, sees who died and what next, until the run is done."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import ray
import ray.exceptions

from actors.assignment import assign_tasks
from replay_service.types import ShardStats
from stars_dist.config import RunConfig
from stars_dist.evaluation_schedule import EvaluationSchedule
from stars_dist.launch import Cluster, Supervised
from stars_dist.monitor.run_monitor import RunMonitor
from stars_dist.poll import Poll
from stars_dist.processes import LearnerStatus
from stars_dist.resume_point import resume_point
from stars_dist.roster import Roster
from stars_dist.run_directory import RunDirectory
from stars_dist.snapshot_schedule import SnapshotSchedule
from stars_dist.watch import RunFailedError, Watch

TICK_S = 0.2
POLL_PERIOD_S = 1.0
SHARD_SILENCE_S = 120.0  # after which a shard counts as lost for good
STOP_DEADLINE_S = 120.0
LAST_WORDS_S = 5.0


class Supervisor:
    """Owns the watches over actors and learner, and the polls that feed the monitor."""

    def __init__(
        self,
        config: RunConfig,
        run: RunDirectory,
        cluster: Cluster,
        monitor: RunMonitor,
        first_incarnation: int,
    ) -> None:
        self._config, self._run, self._cluster, self._monitor = config, run, cluster, monitor
        self._budget_per_task = config.replay_plan().steps_per_task
        log = run.path / "failures.log"
        self.actors = [
            Watch("actor", self._actor_name(i), self._actor_start(i), log, first_incarnation)
            for i in range(config.num_actors)
        ]
        self.learner = Watch("learner", "learner", self._start_learner, log, first_incarnation)
        self._roster = Roster(config, self.actors, cluster.exchange, monitor, POLL_PERIOD_S)
        self._learner_poll: Poll[LearnerStatus] = Poll(self._ask_learner, POLL_PERIOD_S)
        self._shard_polls: list[Poll[ShardStats]] = [
            Poll(lambda shard=shard: self._ask_shard(shard), POLL_PERIOD_S) for shard in cluster.shards
        ]
        self._shard_incarnations: dict[int, int] = {}
        self._learner_started_at = 0

    def run(
        self, interrupted: threading.Event, schedule: EvaluationSchedule, snapshots: SnapshotSchedule
    ) -> bool:
        """Runs until every step is made and learned from; False if interrupted before that.

        Raises:
            RunFailedError: a process keeps failing, or a shard stays away.
        """
        while not self._is_done():
            if interrupted.is_set():
                return False
            self._tend()
            self._take_ends()
            self._take_news()
            schedule.advance()
            snapshots.advance()
            self._monitor.tick()
        return True

    def stop(self) -> None:
        """Ends the run's own processes; the learner saves a checkpoint first."""
        for watch in self.actors:
            watch.end()
        learner = self.learner.process
        if learner is not None:
            learner.handle.stop.remote()
            deadline = time.monotonic() + STOP_DEADLINE_S
            while time.monotonic() < deadline and not ray.wait([learner.run], timeout=TICK_S)[0]:
                self._take_learner_news()
            self._hear_last_words()
        self.learner.end()

    def _tend(self) -> None:
        """Starts the processes that are due, of the actors only so many at a time.

        A hundred that start at once are ready only when the last one is, hold the memory of a hundred compilations of
        a model, and leave shards and learner no time to answer.
        """
        self.learner.tend()
        starting = sum(watch.is_running and not watch.is_ready for watch in self.actors)
        for watch in self.actors:
            if starting >= self._cluster.max_starting_actors:
                return
            if not watch.is_running:
                watch.tend()
                starting += watch.is_running

    def _is_done(self) -> bool:
        return self.learner.is_finished and all(watch.is_finished for watch in self.actors)

    def _watches(self) -> list[Watch]:
        return [self.learner, *self.actors]

    def _take_ends(self) -> None:
        runs = {watch.process.run: watch for watch in self._watches() if watch.process is not None}
        if not runs:
            time.sleep(TICK_S)
            return
        done, _ = ray.wait(list(runs), num_returns=len(runs), timeout=TICK_S)
        for reference in done:
            watch = runs[reference]
            if watch is self.learner:
                self._hear_last_words()
            cause = watch.ended()
            if cause is not None:
                self._monitor.say(f"{watch.name} failed ({cause}); starting it again")
                self._monitor.count_restart(watch.kind)

    def _take_news(self) -> None:
        self._roster.advance()
        self._take_learner_news()
        for index, poll in enumerate(self._shard_polls):
            stats = poll.advance()
            if stats is not None:
                self._hear_shard(index, stats)
            elif poll.silent_s > SHARD_SILENCE_S:
                raise RunFailedError(f"shard {index} has not answered for {poll.silent_s:.0f} s")

    def _take_learner_news(self) -> None:
        if self.learner.is_running and (status := self._learner_poll.advance()) is not None:
            self.learner.is_ready = True
            if status.learner_steps > self._learner_started_at:
                self.learner.made_progress()
            self._monitor.hear_learner(status.learner_steps, status.reports)

    def _hear_last_words(self) -> None:
        """The reports of a learner whose `run` has ended; a dead one has none."""
        try:
            status: LearnerStatus = ray.get(self._ask_learner(), timeout=LAST_WORDS_S)
        except (ray.exceptions.RayActorError, ray.exceptions.GetTimeoutError):
            return
        self._monitor.hear_learner(status.learner_steps, status.reports)

    def _hear_shard(self, index: int, stats: ShardStats) -> None:
        before = self._shard_incarnations.get(index)
        self._shard_incarnations[index] = stats.incarnation
        if before is not None and stats.incarnation != before:
            self._monitor.say(f"shard {index} was restarted and holds {stats.size.sum():,} transitions")
            self._monitor.count_restart("shard")
        self._monitor.hear_shard(index, stats)

    def _actor_name(self, actor: int) -> str:
        suite = self._config.load_suite()
        tasks = assign_tasks(len(suite.tasks), self._config.num_actors)[actor]
        names = [suite.tasks[task].name for task in tasks]
        return f"actor {actor} ({', '.join(names[:3])}{', ...' if names[3:] else ''})"

    def _actor_start(self, actor: int) -> Callable[[int], Supervised]:
        return lambda incarnation: self._cluster.start_actor(actor, incarnation)

    def _start_learner(self, incarnation: int) -> Supervised:
        point = resume_point(self._run.path, self._monitor.say)
        self._learner_started_at = point.learner_steps if point else 0
        return self._cluster.start_learner(point.checkpoint.resolve() if point else None)

    def _ask_learner(self) -> Any:
        assert self.learner.process is not None
        return self.learner.process.handle.poll.remote()

    def _ask_shard(self, shard: Any) -> object:
        if self.learner.is_finished:  # nobody samples any more, so let the actors make their last steps
            return shard.poll.remote(self._config.total_updates, self._budget_per_task)
        return shard.stats.remote()
