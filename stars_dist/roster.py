"""The roster of a run's actors: who is there, who hangs, and who serves the tasks of those that are away."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from actors.assignment import assign_tasks, cover_tasks
from stars_dist.config import RunConfig
from stars_dist.exchange import Heard
from stars_dist.monitor.run_monitor import RunMonitor
from stars_dist.poll import Poll
from stars_dist.watch import Watch


class Roster:
    """Asks the exchange for the actors' last words and tells it what each is to serve."""

    def __init__(
        self, config: RunConfig, watches: Sequence[Watch], exchange: Any, monitor: RunMonitor, period_s: float
    ) -> None:
        self._config, self._watches, self._monitor = config.actors, watches, monitor
        self._task_names = config.load_suite().task_names
        self._assigned = assign_tasks(len(self._task_names), len(watches))
        self._serving = dict(enumerate(self._assigned))
        self._last_arrival = time.monotonic()
        self._poll: Poll[tuple[Heard, ...]] = Poll(lambda: exchange.gather.remote(self._serving), period_s)

    def advance(self) -> None:
        """Takes what the actors said since the last call.

        Raises:
            RunFailedError: an actor hangs again and again without getting anywhere.
        """
        for heard in self._poll.advance() or ():
            watch = self._watches[heard.stats.actor]
            if watch.is_running and heard.stats.incarnation == watch.incarnation:
                self._hear(watch, heard)
        self._cover_those_away()
        self._monitor.actors_alive = sum(watch.is_alive or watch.is_finished for watch in self._watches)

    def _hear(self, watch: Watch, heard: Heard) -> None:
        if not watch.is_ready:
            watch.is_ready = True
            self._last_arrival = time.monotonic()
        if heard.stats.env_steps > 0:
            watch.made_progress()
        self._monitor.hear_actor(heard.stats)
        if heard.silent_s > self._config.hang_timeout_s:
            self._restart_hung(watch, heard)

    def _restart_hung(self, watch: Watch, heard: Heard) -> None:
        tasks = self._names(self._serving[heard.stats.actor])
        cause = (
            f"no sign of life for {heard.silent_s:.0f} s from the step of an environment of {tasks}, more than "
            f"actors.hang_timeout_s"
        )
        watch.failed(cause, f"last heard: {heard.stats}")
        self._monitor.say(f"{watch.name} hangs ({cause}); starting it again")
        self._monitor.count_restart(watch.kind)

    def _cover_those_away(self) -> None:
        """Gives the tasks of actors that are away for long to others. While actors still arrive, none is late."""
        now = time.monotonic()
        late = {
            actor
            for actor, watch in enumerate(self._watches)
            if (since := watch.away_since) is not None
            and now - max(since, self._last_arrival) > self._config.reassign_after_s
        }
        present = [actor for actor, watch in enumerate(self._watches) if watch.is_alive]
        serving = cover_tasks(self._assigned, late, present)
        for actor, task_ids in serving.items():
            if task_ids != self._serving[actor]:
                self._monitor.say(f"actor {actor} now serves {self._names(task_ids)}")
        self._serving = serving

    def _names(self, task_ids: Sequence[int]) -> str:
        return ", ".join(self._task_names[task] for task in task_ids)
