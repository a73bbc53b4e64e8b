"""From the writers to the shards over calls that are lost, late and repeated, with shards and actors that begin anew.

What was acknowledged is stored, once and whole, and so is all that was written when calls get through again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from enum import Enum, auto
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from replay_service.acknowledgement_log import read_acknowledged, row_digests
from replay_service.dedup_window import WINDOW
from replay_service.plan import ReplayPlan
from replay_service.rows import pack, words
from replay_service.shard import Shard
from replay_service.transport import LocalTransport, Pending, ShardUnavailable
from replay_service.types import EpisodeEnd, TransitionBatch
from replay_service.writer import ReplayWriter

MakeTransitions = Callable[..., TransitionBatch]
ROWS = 3  # of a chunk
TASKS = {0: [0, 1], 1: [0]}  # of each actor
UNLIMITED = 10**9


class Fate(Enum):
    """What becomes of a call; of one that is `CUT` the caller hears, as of a process that died under it."""

    ANSWERED = auto()
    ANSWER_LOST = auto()
    ANSWER_CUT = auto()
    REQUEST_LOST = auto()
    REQUEST_CUT = auto()
    HELD = auto()  # until later


class Clock:
    """Time that passes when somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Call:
    def __init__(self, execute: Callable[[], Pending]) -> None:
        self._execute = execute
        self._answer: Pending | None = None
        self._is_cut = False

    def meet(self, fate: Fate) -> None:
        if fate in (Fate.ANSWERED, Fate.ANSWER_LOST, Fate.ANSWER_CUT):
            answer = self._execute()
            self._answer = answer if fate is Fate.ANSWERED else None
        self._is_cut = fate in (Fate.ANSWER_CUT, Fate.REQUEST_CUT)

    def done(self) -> bool:
        return self._is_cut or self._answer is not None

    def result(self, timeout_s: float) -> Any:
        if self._is_cut:
            raise ShardUnavailable("the shard died under the call")
        if self._answer is None:
            raise TimeoutError("no answer yet")
        return self._answer.result(0.0)


class Network:
    """A transport whose inserts wait for their fates; a call in flight outlives who made it."""

    is_concurrent = True

    def __init__(self, shards: list[Shard], clock: Clock) -> None:
        self._local, self._clock = LocalTransport(shards), clock
        self.inserts: list[Call] = []
        self.begins: list[Call] = []  # held back
        self.fates: list[Fate] = []  # of the next calls that begin an incarnation

    def submit(self, shard: int, method: str, *args: Any) -> Pending:
        call = Call(lambda: self._local.submit(shard, method, *args))
        if method == "insert":
            self.inserts.append(call)
        elif (fate := self.fates.pop() if self.fates else Fate.ANSWERED) is Fate.HELD:
            self.begins.append(call)
        else:
            call.meet(fate)
        return call

    def wait(self, calls: Sequence[Pending], timeout_s: float) -> None:
        self._clock.sleep(timeout_s)

    def deliver(self, place: int, fate: Fate) -> None:
        if self.inserts and fate is not Fate.HELD:
            self.inserts.pop(place % len(self.inserts)).meet(fate)

    def deliver_begins(self) -> None:
        while self.begins:
            self.begins.pop().meet(Fate.ANSWER_LOST)


class Scene:
    """Shards in files, two actors with their predecessors, and what every chunk that was written holds."""

    def __init__(self, plan: ReplayPlan, make: MakeTransitions, directory: Path, clock: Clock) -> None:
        self.plan, self.clock, self._make, self._directory = plan, clock, make, directory
        self.shards = [Shard(index, plan, directory) for index in range(plan.num_shards)]
        self.network = Network(self.shards, clock)
        self.writers: list[ReplayWriter] = []
        self.newest: dict[int, int] = {}  # writer of each actor
        self.begun = [0, 0]
        self.sent: list[dict[int, int]] = [{}, {}]  # by task: writer by the first serial number of a chunk
        self.stored: list[set[int]] = [set(), set()]  # by task: first serial numbers
        self.digests: list[set[int]] = [set(), set()]
        self._written, self._checked, self._read = 0, [0, 0], {0: 0, 1: 0}
        self.limit(UNLIMITED)
        for actor in TASKS:
            self.succeed(actor, [])

    def succeed(self, actor: int, fates: list[Fate]) -> None:
        """Begin an actor anew; what its predecessor has in flight arrives all the same, and it may go on."""
        self.network.fates = list(fates)
        writer = ReplayWriter(self.plan, self.network, actor, self.begun[actor], TASKS[actor])
        self.begun[actor] += 1
        self.newest[actor] = len(self.writers)
        self.writers.append(writer)

    def write(self, actor: int, task: int, is_bad: bool = False) -> bool:
        """Send a chunk if the writer takes one; return whether it did."""
        task, writer = TASKS[actor][task % len(TASKS[actor])], self.writers[self.newest[actor]]
        if task not in self.poll(self.newest[actor]):
            return False
        first = ROWS * self._written
        chunk = self._make(task, ROWS, first)
        if is_bad:
            chunk.reward[ROWS - 1] = np.nan
        else:
            self.sent[task][first] = self.newest[actor]
        self._written += 1
        writer.write(chunk, (EpisodeEnd(task, float(first), 1, True, 0),), 0)
        return True

    def stream(self, actor: int, task: int, behind: int, chunks: int) -> None:
        """Write chunks, each of which is answered at once, but for those that are left `behind` in flight."""
        for _ in range(behind):
            self.write(actor, task)
        for _ in range(chunks):
            if not self.write(actor, task):
                return
            self.network.deliver(-1, Fate.ANSWERED)

    def poll(self, writer: int) -> list[int]:
        """Have a writer take its answers and send again what is due; return the tasks that it takes chunks of."""
        writer %= len(self.writers)
        while True:
            try:
                return self.writers[writer].ready_tasks()
            except ValueError as refused:
                assert "reward must be finite" in str(refused)

    def restart(self, shard: int) -> None:
        """Kill a shard's process and start the next one on its files."""
        shard %= len(self.shards)
        self.shards[shard]._storage.close()  # what a kill does; `close` would bring all to the disk
        self.shards[shard] = Shard(shard, self.plan, self._directory)
        self.network.begins.clear()  # of a process that has gone; no process sends them again
        for task in self.shards[shard].task_ids:
            self._checked[task] = 0
            self.stored[task].clear()
        self.limit(self._ahead)

    def limit(self, ahead: int) -> None:
        """Have shards admit so many rows beyond those stored, also once they are started again."""
        self._ahead = ahead
        for shard in self.shards:
            shard.set_insert_limit(0, int(shard.stats().inserted.max()) + ahead)

    def check(self) -> None:
        """Nothing is stored twice, torn, or though it was refused; all that was acknowledged is there."""
        for task in (0, 1):
            self._check_rows(task)
        for actor in TASKS:
            path = Path(str(self.plan.replay.acknowledgement_log)) / f"actor-{actor}.jsonl"
            entries, self._read[actor] = read_acknowledged(path, self._read[actor])
            for entry in entries:
                assert set(entry.digest.tolist()) <= self.digests[entry.task_id], (
                    "acknowledged and not stored"
                )

    def settle(self) -> None:
        """Let all calls through, the oldest last, until the newest writers have all their answers."""
        self.limit(UNLIMITED)
        self.network.deliver_begins()
        for actor, tasks in TASKS.items():
            for task in tasks:
                self.write(actor, task)
        for _ in range(10):
            for actor in TASKS:
                self.poll(self.newest[actor])
            while self.network.inserts:
                self.network.deliver(-1, Fate.ANSWERED)
            self.clock.sleep(100.0)
        self.check()
        for actor, number in self.newest.items():
            ready = self.poll(number)
            assert self.writers[number].unacknowledged == 0
            for task in TASKS[actor]:
                shard = self.shards[task % len(self.shards)]
                inserted = shard.stats().inserted[shard.task_ids.index(task)]
                if inserted < self.plan.steps_per_task:
                    assert task in ready, "a task was closed that has steps to make"
                    owed = {first for first, writer in self.sent[task].items() if writer == number}
                    assert owed <= self.stored[task], "written and never stored"

    def _check_rows(self, task: int) -> None:
        shard = self.shards[task % len(self.shards)]
        tables, table, stats = shard.tables, shard.task_ids.index(task), shard.stats()
        count = int(tables.count[table])
        rows = tables.copy_rows(table, self._checked[task], count)
        self.digests[task].update(row_digests(rows).tolist())
        for chunk in np.split(rows, range(ROWS, len(rows), ROWS)) if len(rows) else ():
            first = int(chunk["obs"][0, 0])
            expected = pack(self._make(task, ROWS, first), tables.row_dtype)
            np.testing.assert_array_equal(words(chunk), words(expected), "a chunk is torn")
            assert first in self.sent[task], "a chunk is stored that was refused"
            assert first not in self.stored[task], "a chunk is stored twice"
            self.stored[task].add(first)
        self._checked[task] = count
        assert count == ROWS * len(self.stored[task]) == stats.inserted[table]
        assert stats.episodes[table] == len(self.stored[task])
        assert count < self.plan.steps_per_task + ROWS


def action(name: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.tuples(st.just(name), *arguments)


BIT, PLACE, FATE = st.integers(0, 1), st.integers(-3, 3), st.sampled_from(Fate)
ACTIONS = st.lists(
    st.one_of(
        action("write", BIT, BIT, st.booleans()),
        action("stream", BIT, BIT, st.integers(1, 3), st.sampled_from([0, 2, WINDOW])),
        action("stream", BIT, BIT, st.integers(1, 3), st.sampled_from([0, 1])),
        action("deliver", PLACE, FATE),
        action("deliver", PLACE, FATE),
        action("poll", st.integers(0, 5)),
        action("sleep", st.sampled_from([0.3, 100.0])),
        action("restart", BIT),
        action("succeed", BIT, st.lists(FATE, max_size=3)),
        action("deliver_begins"),
        action("limit", st.sampled_from([0, 2 * ROWS, UNLIMITED, UNLIMITED])),
    ),
    min_size=15,
    max_size=30,
)
# chunks in flight, shards, and the step budget of a task in chunks
SIZES = st.tuples(st.sampled_from([2, 4, 32]), st.sampled_from([1, 2]), st.sampled_from([10**6, 10**6, 20]))
PLAIN_FIXTURES = [HealthCheck.function_scoped_fixture]  # they are functions that keep nothing


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=PLAIN_FIXTURES)
@given(sizes=SIZES, actions=ACTIONS)
@example(sizes=(4, 1, 10**6), actions=[("stream", 0, 0, 1, WINDOW)])  # was acknowledged and not stored
def test_whatever_calls_and_processes_do_a_chunk_is_stored_once(
    sizes: tuple[int, int, int], actions: list[tuple[Any, ...]], make_plan: Any, make_transitions: Any
) -> None:
    (unacknowledged, num_shards, chunks_per_task), clock = sizes, Clock()
    with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        for module in ("writer", "incarnation_call", "wait"):
            patch.setattr(f"replay_service.{module}.time", clock)
        patch.setattr("os.fsync", lambda _: None)  # no host goes down
        replay = {"storage": "mapped", "capacity_per_task": 8192, "warmup_steps_per_task": 1}
        replay |= {"max_unacknowledged_chunks": unacknowledged, "num_shards": num_shards}
        replay |= {"insert_timeout_s": 0.0, "insert_deadline_s": 1e9, "acknowledgement_log": f"{place}/log"}
        plan = make_plan(2, replay, total_steps=2 * ROWS * chunks_per_task)
        scene = Scene(plan, make_transitions, Path(place), clock)
        for name, *arguments in actions:
            owner = next(part for part in (scene, scene.network, clock) if hasattr(part, name))
            getattr(owner, name)(*arguments)
            scene.check()
        scene.settle()
        for shard in range(num_shards):
            scene.restart(shard)
        scene.check()
        for shard in scene.shards:
            shard.close()
