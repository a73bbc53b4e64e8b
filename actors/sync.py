"""The sync between an actor and its run: stats out, newer weights and other tasks in."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from actors.policy_weights import PolicyWeights


class ActorStats(NamedTuple):
    """What an actor did since its start, and where its time went."""

    actor: int
    incarnation: int
    env_steps: int
    ended_episodes: int
    failed_episodes: int
    weights_version: int | None
    environment_s: float
    policy_s: float
    sending_s: float
    waiting_s: float
    task_ids: tuple[int, ...] = ()  # that it serves

    def shares(self) -> dict[str, float]:
        """Compute fractions of the measured time, by the names of `perf/actor/*`."""
        parts = {
            "environment": self.environment_s,
            "policy": self.policy_s,
            "sending": self.sending_s,
            "waiting": self.waiting_s,
        }
        total = sum(parts.values())
        return {name: seconds / total if total else 0.0 for name, seconds in parts.items()}


class SyncReply(NamedTuple):
    """The news for an actor; None where there is none."""

    weights: PolicyWeights | None = None  # of another version than the actor's
    task_ids: tuple[int, ...] | None = None  # the tasks to serve from the next chunk on


Sync = Callable[[ActorStats], SyncReply]
"""Hand over the stats and return the news that has arrived, without waiting for any."""
