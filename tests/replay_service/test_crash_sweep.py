"""SIGKILL before every single bytecode of an insert and of a priority update, one after the other."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# A forked child kills itself at the n-th bytecode of the modules that write, for n = 0, 1, ... until the call
# comes through. After each kill the directory must hold the state before or after the call, and nothing else.
SWEEP = """
import os, shutil, signal, sys
from pathlib import Path
import numpy as np
from replay_service import dedup_window, episode_history, journal, table
from replay_service.config import ReplayConfig, SamplingConfig
from replay_service.plan import ReplayPlan
from replay_service.shard import Shard
from replay_service.types import Chunk, ChunkId, EpisodeEnd, TransitionBatch, TransitionSpec

action, root = sys.argv[1], Path(sys.argv[2])
WRITERS = {module.__file__ for module in (dedup_window, episode_history, journal, table)}  # that store into the files
PLAN = ReplayPlan(TransitionSpec(1, 3, 2), ReplayConfig(capacity_per_task=12, warmup_steps_per_task=1),
                  SamplingConfig(batch_size_per_task=2), total_steps=10**9, chunk_steps=12, batches_per_call=1, seed=0,
                  gamma=0.99)

def chunk(sequence, first, rows):
    serial = np.arange(first, first + rows, dtype=np.float32)
    wide = np.repeat(serial[:, None], 3, axis=1)
    columns = TransitionBatch(wide, wide[:, :2], serial, -wide, serial % 2 == 0, np.zeros(rows, np.int32))
    return Chunk(ChunkId(0, 0, sequence), columns, (EpisodeEnd(0, float(sequence), rows, True, 0),), 0)

def open_shard(directory):
    shard = Shard(0, PLAN, directory)
    shard.set_insert_limit(0, 10**9)
    return shard

def call(shard):
    if action == "insert":
        return shard.insert(chunk(2, 16, 11), 0.0).status  # 11 rows into slots 4 to 11 and 0 to 2
    return shard.update_priorities(np.zeros(3, np.int32), keys, np.array([4.0, 5.0, 6.0]))

def content(shard):
    tables = shard._content.tables
    return (tables._rows[0].tobytes(), tables.inserted.tolist(), shard._content.dedup.entry(0, 0),
            shard.stats().episodes.tolist(), shard.stats().success_rate.tolist())

shard = open_shard(root / "base")
shard.insert(chunk(0, 0, 8), 0.0)
shard.insert(chunk(1, 8, 8), 0.0)
keys = np.sort(np.unique(shard.sample(np.array([[400]]), 0, 10**9).key))[:3]
before, before_priority = content(shard), shard._content.tables._priority[0].copy()
shard.close()
shutil.copytree(root / "base", root / "done")
shard = open_shard(root / "done")
call(shard)
after, after_priority = content(shard), shard._content.tables._priority[0].copy()
shard.close()

def die_at(number):
    count = -1
    def trace(frame, event, argument):
        nonlocal count
        if frame.f_code.co_filename not in WRITERS:
            return trace
        frame.f_trace_opcodes = True
        if event == "opcode":
            count += 1
            if count == number:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace
    return trace

outcomes = {"before": 0, "after": 0}
number = 0
while True:
    directory = root / "run"
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(root / "base", directory)
    child = os.fork()
    if child == 0:
        shard = open_shard(directory)
        sys.settrace(die_at(number))
        call(shard)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    if not os.WIFSIGNALED(status):
        break
    shard = open_shard(directory)
    found = content(shard)
    assert found in (before, after), f"killed at bytecode {number}: neither the state before nor the one after"
    assert np.isfinite(shard.stats().priority_mass).all() and (shard._content.tables._priority[0, :12] > 0).all()
    if action == "update":
        priority = shard._content.tables._priority[0]
        assert ((priority == before_priority) | (priority == after_priority)).all()
        outcomes["after" if (priority == after_priority).all() else "before"] += 1
    else:
        outcomes["after" if found == after else "before"] += 1
        expected = "duplicate" if found == after else "stored"
        assert call(shard) == expected, f"killed at bytecode {number}: the retry was not {expected}"
        assert content(shard) == after
    shard._storage.close()  # not brought to the disk, which takes longer than all the rest
    number += 1
print(number, outcomes["before"], outcomes["after"])
"""


@pytest.mark.chaos
@pytest.mark.parametrize("action", ["insert", "update"])
def test_killed_before_any_bytecode_a_call_has_happened_or_not(action: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SWEEP, action, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    bytecodes, before, after = map(int, done.stdout.split())
    assert bytecodes > 50 and before > 10 and after > 10
