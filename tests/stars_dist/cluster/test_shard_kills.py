"""Twenty SIGKILLs of shards in a real run; then the ledgers of actors and shards are laid side by side."""

from __future__ import annotations

import contextlib
import json
import random
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from scipy.stats import chi2

from replay_service.dedup_window import DedupWindow
from replay_service.inspection import inspect_shards
from replay_service.plan import ReplayPlan
from replay_service.rows import pack, row_dtype
from replay_service.shard import Shard
from replay_service.storage import Storage
from replay_service.types import Chunk, ChunkId, InsertAck, InsertStatus
from stars_dist.cluster.processes import RolloutProcess
from stars_dist.config.merge import resolve, set_layer
from stars_dist.config.preset_files import preset_layer
from stars_dist.config.run_plan import RunPlan
from stars_dist.interruption import Interruption, RunInterruptedError
from stars_dist.monitor.console import Console
from stars_dist.run_files.directory import RunDirectory
from stars_dist.run_files.provenance import provenance

KILLS, NUM_SHARDS = 20, 2
ACKNOWLEDGED = (InsertStatus.STORED, InsertStatus.DUPLICATE)
SETTINGS = (
    "suite=toy:4",
    "steps=400000",
    "actors.num_actors=2",
    "address=local",
    f"replay.num_shards={NUM_SHARDS}",
    "replay.warmup_steps_per_task=200",
    "replay.samples_per_insert=1",  # many inserts for each update
    "actors.chunk_steps=10",
)


class LedgerKeepingProcess(RolloutProcess):
    """The run's own rollout process, which also records what it sends and what is acknowledged."""

    def __init__(self, run_dir: Path, plan: RunPlan, actor: int, *rest: Any) -> None:
        import stars_dist.cluster.processes as processes
        from replay_service.transport import RayTransport

        file = (run_dir / f"actor-{actor}.jsonl").open("a", buffering=1)
        dtype = row_dtype(plan.replay.spec)

        def note(event: str, chunk: Chunk) -> None:
            rows = pack(chunk.transitions, dtype)
            entry = {"event": event, "task": int(chunk.transitions.task_id[0]), "id": chunk.id}
            if event == "sent":
                entry["rows"] = [row.tobytes().hex() for row in rows]
            file.write(json.dumps(entry) + "\n")

        class NotedAnswer:
            def __init__(self, call: Any, chunk: Chunk) -> None:
                self._call, self._chunk = call, chunk

            def done(self) -> bool:
                return self._call.done()

            def result(self, timeout_s: float) -> InsertAck:
                ack = self._call.result(timeout_s)
                if ack.status in ACKNOWLEDGED:
                    note("acknowledged", self._chunk)
                return ack

        class NotingTransport(RayTransport):
            def submit(self, shard: int, method: str, *args: Any) -> Any:
                if method != "insert":
                    return super().submit(shard, method, *args)
                note("sent", args[0])
                return NotedAnswer(super().submit(shard, method, *args), args[0])

        processes.RayTransport = NotingTransport  # in this actor's process alone
        super().__init__(run_dir, plan, actor, *rest)


class ActorLedger:
    """All that the actors recorded."""

    def __init__(self, run_dir: Path) -> None:
        self.rows: dict[tuple[int, ChunkId], list[str]] = {}
        self.acknowledged: set[tuple[int, ChunkId]] = set()
        for path in run_dir.glob("actor-*.jsonl"):
            for line in path.read_text().splitlines():
                if not line.endswith("}"):
                    continue  # the actor was ended while it wrote
                entry = json.loads(line)
                name = (entry["task"], ChunkId(*entry["id"]))
                if entry["event"] == "sent":
                    self.rows[name] = entry["rows"]
                else:
                    self.acknowledged.add(name)

    def count(self, task: int, names: set[tuple[int, ChunkId]]) -> Counter[str]:
        return Counter(row for name in names if name[0] == task for row in self.rows[name])


def shard_incarnation(run: RunDirectory, index: int) -> int:
    return int(np.load(run.replay / f"shard-{index}" / "shard.npy", mmap_mode="r")["incarnation"])


def has_sampled(run: RunDirectory) -> bool:
    files = [run.replay / f"shard-{index}" / "tables.npy" for index in range(NUM_SHARDS)]
    return all(file.exists() and (np.load(file, mmap_mode="r")["sampled"] > 0).all() for file in files)


def shard_processes() -> list[psutil.Process]:
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it ended meanwhile
            if "ray::Shard" in " ".join(process.cmdline()):
                found.append(process)
    return found


def kill_shards(run: RunDirectory, interrupted: Interruption, killed: list[int]) -> None:
    """At random moments: while they serve, and while they come back."""
    rng = random.Random(0)
    try:
        wait_until(lambda: has_sampled(run), 300)
        while len(killed) < KILLS:
            time.sleep(rng.uniform(0.0, 6.0))
            processes = shard_processes()
            if processes:
                victim = rng.choice(processes)
                victim.kill()
                killed.append(victim.pid)
        wait_until(lambda: sum(shard_incarnation(run, i) for i in range(NUM_SHARDS)) > NUM_SHARDS, 60)
        time.sleep(10.0)  # the last ones come back, and are inserted into
    finally:
        interrupted.set()


def wait_until(condition: Any, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.2)


@pytest.mark.cluster
@pytest.mark.chaos
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_after_twenty_kills_acknowledged_is_stored_and_sampling_is_exact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray.cloudpickle

    from stars_dist.cluster.distributed_run import train_distributed
    from stars_dist.run_files.resume_point import Start

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    monkeypatch.setattr("stars_dist.cluster.cluster.RolloutProcess", LedgerKeepingProcess)
    resolved = resolve([preset_layer("laptop"), *map(set_layer, SETTINGS)])
    run, interrupted, killed = RunDirectory(tmp_path / "run"), Interruption(), []
    run.path.mkdir()
    run.write_config(resolved.plan.config)
    run.write_provenance(provenance(resolved.plan.config.seed, "laptop", resolved.origins))

    def begin(console: Console) -> Start:
        return Start(None, 0)

    killer = threading.Thread(target=kill_shards, args=(run, interrupted, killed))
    killer.start()
    try:
        with pytest.raises(RunInterruptedError):
            train_distributed(run, resolved.plan, Console(), begin, interrupted)
    finally:
        interrupted.set()
        killer.join()
    assert len(killed) == KILLS
    plan = resolved.plan.replay
    check_ledgers(run, plan)
    check_sampling(run, plan)


def check_ledgers(run: RunDirectory, plan: ReplayPlan) -> None:
    """Acknowledged = stored: nothing is missing, nothing is there twice, nothing is there that was not sent."""
    actors, reports = ActorLedger(run.path), inspect_shards(run.replay)
    assert sum(report.incarnation for report in reports) > NUM_SHARDS + KILLS / 2, "too few kills hit a shard"
    assert len(actors.acknowledged) > 100
    for report in reports:
        directory = run.replay / f"shard-{report.shard}"
        files = {
            name: np.load(directory / f"{name}.npy", mmap_mode="r") for name in ("transitions", "ledger")
        }
        ledger = DedupWindow(len(report.tables), Storage(None))
        ledger._entry[:] = files["ledger"]
        for table, held in enumerate(report.tables):
            assert held.size == held.inserted, "the test needs tables that are not overwritten"
            stored = Counter(row.tobytes().hex() for row in files["transitions"][table, : held.size])
            of_shard = {
                name for name in actors.rows if ledger.is_stored(table, name[1]) and name[0] == held.task_id
            }
            acknowledged = {name for name in actors.acknowledged if name[0] == held.task_id}
            assert acknowledged <= of_shard
            assert stored == actors.count(held.task_id, of_shard)
            missing_answers = len(of_shard - acknowledged)
            assert (
                missing_answers <= plan.replay.max_unacknowledged_chunks
            )  # in flight when the actor was ended


def check_sampling(run: RunDirectory, plan: ReplayPlan) -> None:
    """Chi-squared of draws against p^a / sum p^a from the files' own priorities; wrong once in a million."""
    newest_key = {
        table.task_id: table.newest_key for shard in inspect_shards(run.replay) for table in shard.tables
    }
    for index in range(plan.num_shards):
        priority = np.load(run.replay / f"shard-{index}" / "priority.npy")
        shard = Shard(index, plan, run.replay)
        stats = shard.stats()
        for table, task in enumerate(stats.task_id.tolist()):
            size, quota = int(stats.size[table]), np.zeros((1, plan.num_tasks), np.int64)
            quota[0, task] = draws = 50 * size
            drawn = shard.sample(quota, 0, 10**9)
            count = np.bincount(size - 1 - ((newest_key[task] or 0) - drawn.key), minlength=size)
            raw = priority[table, :size]
            mass = (raw + plan.sampling.priority_epsilon) ** plan.sampling.priority_exponent
            assert np.ptp(raw) > 0, "the learner has set no priority"
            expected = draws * mass / mass.sum()
            statistic = ((count - expected) ** 2 / expected)[expected >= 5].sum()
            freedom = int((expected >= 5).sum()) - 1
            assert freedom > 100 and chi2.ppf(1e-6, freedom) < statistic < chi2.ppf(1 - 1e-6, freedom)
        shard.close()
