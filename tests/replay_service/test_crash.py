"""SIGKILL at random instants: acknowledged means stored, once and whole."""

import json
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from replay_service.config import ReplayConfig, SamplingConfig
from replay_service.plan import ReplayPlan
from replay_service.shard import Shard
from replay_service.types import TransitionSpec

KILLS = 40
CAPACITY = 256
PLAN = ReplayPlan(
    TransitionSpec(2, 39, 4),
    ReplayConfig(capacity_per_task=CAPACITY, warmup_steps_per_task=1),
    SamplingConfig(batch_size_per_task=2),
    total_steps=10**9,
    chunk_steps=CAPACITY,
    batches_per_call=1,
    seed=0,
    gamma=0.99,
)
# A fork server: for each line it forks a child that opens the shard and inserts until it is killed. A fork costs
# milliseconds where a new interpreter costs half a second, so many more instants are tried.
FORK_SERVER = """
import os, pickle, sys
import numpy as np
from replay_service.shard import Shard
from replay_service.types import Chunk, ChunkId, EpisodeEnd, TransitionBatch

plan, directory = pickle.loads(bytes.fromhex(sys.argv[1])), sys.argv[2]

def chunk(task, sequence, first):
    rows = (sequence * 37 + task) % 200 + 1
    serial = np.arange(first, first + rows, dtype=np.float32)
    wide = np.repeat(serial[:, None], 39, axis=1)
    transitions = TransitionBatch(wide, np.repeat(serial[:, None], 4, axis=1), serial, wide, serial % 2 == 0,
                                  np.full(rows, task, np.int32))
    ends = (EpisodeEnd(task, float(sequence), 1, True, 0),)
    return Chunk(ChunkId(task, 0, sequence), transitions, ends, 0)

def live(sequence, first):
    shard = Shard(0, plan, directory)
    shard.set_insert_limit(0, 10**9)
    rng = np.random.default_rng()
    while True:
        for task in (0, 1):
            sent = chunk(task, sequence[task], first[task])
            status = shard.insert(sent, 0.0).status
            first[task] += len(sent.transitions.reward)
            os.write(1, f"{task} {sequence[task]} {first[task]} {status}\\n".encode())
            sequence[task] += 1
        rows = shard.sample(np.array([[8, 8]]), 0, 10**9)
        shard.update_priorities(rows.task_id, rows.key, rng.random(16))

for line in sys.stdin:
    numbers = [int(number) for number in line.split()]
    child = os.fork()
    if child == 0:
        live(numbers[:2], numbers[2:])
    os.write(1, f"child {child}\\n".encode())
    os.waitpid(child, 0)
    os.write(1, b"dead\\n")
"""


def read_dead_shard(directory: Path) -> dict[str, np.ndarray]:
    """The files as any tool would read them, without the service's code."""
    layout = json.loads((directory / "layout.json").read_text())
    assert layout["task_id"] == [0, 1] and layout["capacity"] == CAPACITY
    return {path.stem: np.load(path, mmap_mode="r") for path in directory.glob("*.npy")}


def check_files(directory: Path, acknowledged: list[int], next_sequence: list[int]) -> None:
    """Every ring holds its newest rows, whole, and all that was acknowledged."""
    files = read_dead_shard(directory)
    assert files["journal_committed"] == 0
    for task in (0, 1):
        count = int(files["tables"]["count"][task])
        entry = files["ledger"][task, task]  # of the dedup window
        ahead = int(entry["next_sequence"]) - next_sequence[task]  # 1: stored, but killed before the answer
        rows = (next_sequence[task] * 37 + task) % 200 + 1
        assert (ahead, count - acknowledged[task]) in ((0, 0), (1, rows))
        assert files["episode_counts"][task] == entry["next_sequence"]
        slot = np.arange(min(count, CAPACITY))
        serial = (count - 1 - (count - 1 - slot) % CAPACITY).astype(np.float32)
        for name in ("obs", "next_obs", "action", "reward"):
            column = files["transitions"][name][task, slot]
            assert (serial == column.T).all(), f"{name} of task {task} is not what was sent"
        assert (files["transitions"]["terminated"][task, slot] == (serial % 2 == 0)).all()
        assert (files["priority"][task, slot] > 0).all()


@pytest.mark.chaos
def test_killed_at_any_instant_a_shard_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    server = subprocess.Popen(
        [sys.executable, "-c", FORK_SERVER, pickle.dumps(PLAN).hex(), str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"},
    )
    assert server.stdin is not None and server.stdout is not None
    rng = random.Random(0)
    sequence, first = [0, 0], [0, 0]  # what the actor of each task knows
    statuses: list[str] = []
    cut_short = 0
    try:
        for _ in range(KILLS):
            server.stdin.write((" ".join(map(str, sequence + first)) + "\n").encode())
            server.stdin.flush()
            acknowledged = run_until_killed(server, rng.random() < 0.8, rng.uniform(0.0, 0.05))
            for task, acked_sequence, count, status in acknowledged:
                assert acked_sequence == sequence[task]
                sequence[task], first[task] = acked_sequence + 1, count
                statuses.append(status)
            if (tmp_path / "shard-0" / "journal_committed.npy").exists():
                cut_short += int(np.load(tmp_path / "shard-0" / "journal_committed.npy"))
                Shard(0, PLAN, tmp_path).close()  # finishes what the kill cut short
                check_files(tmp_path / "shard-0", first, sequence)
    finally:
        server.stdin.close()
        server.wait(10)
    assert set(statuses) <= {"stored", "duplicate"}
    assert statuses.count("stored") > KILLS
    assert cut_short > 0, "no kill hit an insert between commit and clear: the test tests too little"


def run_until_killed(
    server: subprocess.Popen, inserting: bool, delay_s: float
) -> list[tuple[int, int, int, str]]:
    """Kill the child a while after its start or its first insert; the acknowledgements it gave."""
    assert server.stdout is not None
    lines, child = [], None
    while child is None or (inserting and not lines):
        line = server.stdout.readline().decode().split()
        if line[0] == "child":
            child = int(line[1])
        else:
            lines.append(line)
    time.sleep(delay_s)
    os.kill(child, signal.SIGKILL)
    while (line := server.stdout.readline().decode().split()) != ["dead"]:
        lines.append(line)
    return [(int(task), int(sequence), int(count), status) for task, sequence, count, status in lines]
