"""The coordinator as a plain class: what an actor and the driver get for their calls."""

from __future__ import annotations

from actors.sync import ActorStats
from stars_dist.cluster.coordinator import (
    Coordinator,
    CoordinatorRestarts,
    HeartbeatReply,
    PublishedWeights,
)


def stats(
    actor: int, weights_version: int | None = None, env_steps: int = 0, task_ids: tuple[int, ...] = ()
) -> ActorStats:
    return ActorStats(actor, 0, env_steps, 0, 0, weights_version, 0.0, 0.0, 0.0, 0.0, task_ids)


def published(version: int, *task_ids: int) -> PublishedWeights:
    return PublishedWeights(version, ["common"], {task: f"task {task}" for task in task_ids}, 3)


def publish(coordinator: Coordinator, version: int) -> None:
    coordinator.publish(version, ["common"], [f"task {task}" for task in range(3)])


def test_before_anything_is_known_there_is_no_news() -> None:
    coordinator = Coordinator()
    assert coordinator.latest_weights(None) is None
    assert coordinator.heartbeat(stats(0)) == HeartbeatReply(None, None)


def test_weights_go_to_those_that_hold_another_version() -> None:
    coordinator = Coordinator()
    publish(coordinator, 5)
    assert coordinator.latest_weights(None) == published(5, 0, 1, 2)
    assert coordinator.heartbeat(stats(0, weights_version=None)).weights == published(5, 0, 1, 2)
    assert coordinator.heartbeat(stats(0, weights_version=4)).weights == published(5, 0, 1, 2)
    assert coordinator.heartbeat(stats(0, weights_version=5)).weights is None


def test_an_actor_gets_the_weights_of_its_tasks() -> None:
    coordinator = Coordinator()
    publish(coordinator, 5)
    assert coordinator.latest_weights(None, (1,)) == published(5, 1)
    assert coordinator.heartbeat(stats(0, 4, task_ids=(0, 2))).weights == published(5, 0, 2)


def test_an_actor_that_takes_on_a_task_gets_its_weights_though_it_has_the_version() -> None:
    coordinator = Coordinator()
    publish(coordinator, 5)
    coordinator.collect_heartbeats({0: (1, 2)})
    reply = coordinator.heartbeat(stats(0, 5, task_ids=(0, 1)))
    assert reply == HeartbeatReply(published(5, 0, 1, 2), (1, 2))
    assert coordinator.heartbeat(stats(0, 5, task_ids=(1, 2))).weights is None


def test_weights_that_all_tasks_share_have_no_parts() -> None:
    coordinator = Coordinator()
    coordinator.publish(5, ["common"], [])
    assert coordinator.latest_weights(None, (1,)) == PublishedWeights(5, ["common"], {}, 0)


def test_an_older_version_replaces_a_newer_one() -> None:
    """A learner that restarts from its checkpoint goes back, and its actors with it."""
    coordinator = Coordinator()
    publish(coordinator, 5)
    publish(coordinator, 3)
    assert coordinator.heartbeat(stats(0, weights_version=5)).weights == published(3, 0, 1, 2)


def test_the_driver_gets_the_newest_heartbeat_of_each_actor_and_sees_which_are_new() -> None:
    coordinator = Coordinator()
    coordinator.heartbeat(stats(0, env_steps=1))
    coordinator.heartbeat(stats(1, env_steps=2))
    coordinator.heartbeat(stats(0, env_steps=3))
    heartbeats = {heartbeat.stats.actor: heartbeat for heartbeat in coordinator.collect_heartbeats({})}
    assert {actor: heartbeat.stats.env_steps for actor, heartbeat in heartbeats.items()} == {0: 3, 1: 2}
    coordinator.heartbeat(stats(0, env_steps=3))
    again = {heartbeat.stats.actor: heartbeat for heartbeat in coordinator.collect_heartbeats({})}
    assert again[0].number != heartbeats[0].number, "the same stats, and yet a sign of life"
    assert again[1].number == heartbeats[1].number


def test_actors_get_the_tasks_that_the_driver_assigned() -> None:
    coordinator = Coordinator()
    coordinator.collect_heartbeats({0: (0, 2), 1: (1,)})
    assert coordinator.heartbeat(stats(0)).task_ids == (0, 2)
    assert coordinator.heartbeat(stats(2)).task_ids is None  # it serves what it was started with
    coordinator.collect_heartbeats({0: (0,), 1: (1, 2)})
    assert coordinator.heartbeat(stats(1)).task_ids == (1, 2)


def test_a_coordinator_that_was_restarted_is_noticed_once_when_an_actor_has_reported_to_it() -> None:
    restarts, coordinator = CoordinatorRestarts(), Coordinator()

    def collects_from_a_new_one() -> bool:
        return restarts.is_new(coordinator.collect_heartbeats({}))

    assert not collects_from_a_new_one()
    for actor in (0, 1, 0):
        coordinator.heartbeat(stats(actor))
        assert not collects_from_a_new_one()
    coordinator = Coordinator()
    assert not collects_from_a_new_one(), "nobody has found it yet"
    coordinator.heartbeat(stats(1))
    assert collects_from_a_new_one()
    assert not collects_from_a_new_one()
