"""The learner side as a distributed run has it: batches ahead, checkpoints in a thread, beside a worker."""

from __future__ import annotations

import threading
from pathlib import Path

from actors.checkpoint_path import checkpoint_paths
from actors.policy_weights import PolicyWeights
from actors.sync import ActorStats, SyncReply
from learner.checkpoint import read_checkpoint
from learner.loop import LearnerReport
from learner.prefetch import PrefetchSource
from replay_service.shard import Shard
from replay_service.transport import LocalTransport
from stars_dist.build.learner import LearnerOutlets, build_learner, checkpoint_period
from stars_dist.build.rollout import build_worker
from stars_dist.config.merge import resolve, set_layer
from stars_dist.config.preset_files import preset_layer
from stars_dist.run_files.directory import RunDirectory

SETS = ("suite=toy:2", "device=cpu", "steps=600", "replay.warmup_steps_per_task=60", "actors.num_actors=1")
SETS += ("checkpoint.every_env_steps=100", "replay.storage=memory", "actors.chunk_steps=20")


def test_a_run_beside_its_worker_saves_counters_of_its_updates(tmp_path: Path) -> None:
    plan = resolve([preset_layer("small"), *map(set_layer, SETS)]).plan
    run, shards = RunDirectory(tmp_path), [Shard(0, plan.replay)]
    run.write_config(plan.config)
    transport, published, reports = LocalTransport(shards), list[PolicyWeights](), list[LearnerReport]()
    learner = build_learner(
        run,
        plan,
        transport,
        None,
        PrefetchSource,
        LearnerOutlets(published.append, reports.append, print),
        checkpoint_period(plan),
    )

    def sync(stats: ActorStats) -> SyncReply:
        newest = published[-1] if published else None
        return SyncReply(None if newest is None or newest.version == stats.weights_version else newest)

    worker = build_worker(run, plan, transport, 0, 0, sync)
    updates = threading.Thread(target=learner.loop.run)
    updates.start()
    while not worker.finished:
        worker.collect_chunk(0.05)
    updates.join(120)
    assert learner.loop.learner_steps == plan.total_updates == 240
    assert [path.name for path in checkpoint_paths(tmp_path)] == ["step-150", "step-200", "step-240"]
    for path in checkpoint_paths(tmp_path):
        checkpoint = read_checkpoint(path)
        steps = checkpoint.learner["learner_steps"]
        assert path.name == f"step-{steps}"
        assert checkpoint.state["sampler"]["samples"] == steps * plan.replay.batch_size
    assert [report.learner_steps for report in reports] == [100, 200]
