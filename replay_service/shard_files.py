"""The files of a shard: where they lie, and what their layout file holds."""

from __future__ import annotations

from pathlib import Path

from replay_service.plan import ReplayPlan


def shard_directory(index: int, plan: ReplayPlan, directory: Path | str | None) -> Path | None:
    """Choose where a shard's files lie; None in memory."""
    if plan.replay.storage == "memory":
        return None
    if directory is None:
        raise ValueError(
            "replay.storage=mapped must have a directory, got none; give one or use replay.storage=memory"
        )
    return Path(directory) / f"shard-{index}"


def shard_layout(index: int, plan: ReplayPlan) -> dict[str, int | list[int]]:
    """Return what must be the same whenever the files are opened."""
    return {
        "shard": index,
        "num_shards": plan.num_shards,
        "num_tasks": plan.num_tasks,
        "task_id": plan.tasks_of_shard(index),
        "capacity": plan.replay.capacity_per_task,
        "obs_dim": plan.spec.obs_dim,
        "action_dim": plan.spec.action_dim,
    }
