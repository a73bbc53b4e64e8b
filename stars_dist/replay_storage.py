"""Where the replay of a run is kept, and what a resumed run finds there."""

from __future__ import annotations

from pathlib import Path

from replay_service.reshard import reshard
from replay_service.snapshot import SnapshotStore
from stars_dist.config import RunConfig
from stars_dist.monitor.console import Console
from stars_dist.run_directory import RunDirectory


def snapshot_store(run: RunDirectory, config: RunConfig) -> SnapshotStore:
    """The run's snapshots: in the run directory, or in one of the run's name at the configured place."""
    place = config.replay.snapshot_dir
    directory = run.path / "replay-snapshots" if place is None else Path(place) / run.path.resolve().name
    return SnapshotStore(directory.resolve(), config.replay.snapshot_keep_last)


def check_snapshots_unused(run: RunDirectory, config: RunConfig) -> None:
    """A new run must not start from the replay of an older one; ValueError if it would."""
    store = snapshot_store(run, config)
    if not store.is_empty:
        raise ValueError(
            f"the snapshots of a new run need an unused directory, {store.directory} holds some; "
            f"use another --run-dir name or replay.snapshot_dir"
        )


def prepare_replay(run: RunDirectory, config: RunConfig, console: Console) -> int | None:
    """Brings the replay of a resumed run to its number of shards and says what it holds.

    Returns the environment steps that it goes on from if some are lost; None if nothing is.
    """
    plan, store = config.replay_plan(), snapshot_store(run, config)
    if (dealt_anew := reshard(run.replay, plan, store)) is not None:
        console.line(f"the replay is dealt anew to {plan.num_shards} shards, from {dealt_anew.path}")
        return None
    missing = [i for i in range(plan.num_shards) if not (run.replay / f"shard-{i}" / "layout.json").is_file()]
    if config.replay.storage == "mapped" and not missing:
        console.line(
            "restored from the run directory: every acknowledged transition, its priority, and the counters"
        )
        return None
    snapshots = store.newest_first(plan.spec)
    if not snapshots:
        console.line("not restored: the replay, which is refilled to the warm-up before learning goes on")
        return 0
    console.line(
        f"restored from {snapshots[0].path}: the replay of shards {missing} as it was at "
        f"{snapshots[0].env_steps:,} environment steps; what they stored after that is lost"
    )
    return snapshots[0].env_steps
