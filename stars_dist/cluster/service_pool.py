"""The services of a run, coordinator and shards: what they answer, and which are started again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from replay_service.types import ShardStats
from stars_dist.cluster.cluster import Cluster
from stars_dist.cluster.coordinator import CoordinatorRestarts, Heartbeat
from stars_dist.cluster.deadlines import deadlines
from stars_dist.cluster.running_clock import RunningClock
from stars_dist.cluster.supervised_service import SupervisedService
from stars_dist.config.run_plan import RunPlan
from stars_dist.monitor.run_monitor import RunMonitor

CALL_PERIOD_S = 1.0


class ServicePool:
    """Collects heartbeats from the coordinator and counters from the shards, and kills what does not answer."""

    def __init__(
        self,
        plan: RunPlan,
        cluster: Cluster,
        monitor: RunMonitor,
        failures_file: Path,
        clock: RunningClock,
        serving: Callable[[], Mapping[int, tuple[int, ...]]],
    ) -> None:
        """Begin to ask; `serving` tells the tasks that each actor is to serve, which the coordinator hands on."""
        self.is_sampled = True  # whether a learner still samples, and so moves the insert limits
        self._plan, self._monitor = plan, monitor
        limits = deadlines(plan.config)
        coordinator = cluster.coordinator
        self._coordinator: SupervisedService[tuple[Heartbeat, ...]] = SupervisedService(
            "coordinator",
            coordinator,
            lambda: coordinator.collect_heartbeats.remote(serving()),
            CALL_PERIOD_S,
            limits["coordinator"],
            failures_file,
            clock,
        )
        self._shards: list[SupervisedService[ShardStats]] = [
            SupervisedService(
                f"shard {index}",
                shard,
                lambda shard=shard: self._request_stats(shard),
                CALL_PERIOD_S,
                limits["shard"],
                failures_file,
                clock,
            )
            for index, shard in enumerate(cluster.shards)
        ]
        self._processes: dict[int, str] = {}  # of each shard, by their names
        self._restarts = CoordinatorRestarts()

    @property
    def are_up(self) -> bool:
        """Whether coordinator and shards have all answered since their last start."""
        return all(service.watch.has_answered for service in (self._coordinator, *self._shards))

    def advance(self) -> tuple[Heartbeat, ...] | None:
        """Take the shards' counters, start again what is past a deadline; return heartbeats if some were collected.

        Raises:
            RunFailedError: a service raised, or freezes or dies at its start again and again.
        """
        for index, shard in enumerate(self._shards):
            stats = shard.advance()
            if stats is not None:
                self._record_shard(index, stats)
            self._restart_if_overdue(shard)
        heartbeats = self._coordinator.advance()
        self._restart_if_overdue(self._coordinator)
        if heartbeats is not None and self._restarts.is_new(heartbeats):
            self._monitor.log(f"coordinator was restarted and hears of {len(heartbeats)} actors so far")
            self._monitor.count_restart("coordinator")
        return heartbeats

    def _restart_if_overdue(self, service: SupervisedService[Any]) -> None:
        if (slow := service.watch.slow_start()) is not None:
            self._monitor.log(f"{service.name} {slow}")
        if (death := service.died_at_start()) is not None:
            self._monitor.log(f"{service.name} {death}; Ray starts it again")
        cause = service.restart_if_overdue()
        if cause is not None:
            self._monitor.log(f"{service.name} is frozen ({cause}); starting it again")

    def _record_shard(self, index: int, stats: ShardStats) -> None:
        before = self._processes.get(index)
        self._processes[index] = stats.process_name
        if before is not None and stats.process_name != before:
            self._monitor.log(f"shard {index} was restarted and holds {stats.size.sum():,} transitions")
            self._monitor.count_restart("shard")
        self._monitor.record_shard(index, stats)

    def _request_stats(self, shard: Any) -> object:
        if not self.is_sampled:  # nobody samples any more, so let the actors make their last steps
            return shard.set_insert_limit.remote(self._plan.total_updates, self._plan.replay.steps_per_task)
        return shard.stats.remote()
