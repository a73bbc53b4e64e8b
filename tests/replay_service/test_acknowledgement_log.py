"""The log of acknowledged chunks: what it holds, over kills and retries."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from replay_service.acknowledgement_log import AcknowledgementLog, read_acknowledged, row_digests
from replay_service.plan import ReplayPlan
from replay_service.rows import pack, row_dtype
from replay_service.shard import Shard
from replay_service.transport import LocalTransport, ShardUnavailable
from replay_service.types import Chunk, TransitionBatch, TransitionSpec
from replay_service.writer import ReplayWriter

MakePlan = Callable[..., ReplayPlan]
MakeTransitions = Callable[..., TransitionBatch]
MakeChunk = Callable[..., Chunk]
SPEC = TransitionSpec(2, 5, 2)


class AnswerLost(LocalTransport):
    """Loses the first answer to an insert, after it was executed."""

    lost = 0

    def submit(self, shard: int, method: str, *args: Any) -> Any:
        answer = super().submit(shard, method, *args)
        if method == "insert" and not self.lost:
            self.lost += 1
            return Lost()
        return answer


class Lost:
    def done(self) -> bool:
        return True

    def result(self, timeout_s: float) -> None:
        raise ShardUnavailable


def test_every_acknowledged_transition_is_logged_once_with_the_digest_of_its_stored_row(
    make_plan: MakePlan, make_transitions: MakeTransitions, tmp_path: Path
) -> None:
    plan = make_plan(2, {"acknowledgement_log": str(tmp_path / "log"), "storage": "mapped"})
    shard = Shard(0, plan, tmp_path)
    shard.set_insert_limit(0, 10**9)
    writer = ReplayWriter(plan, AnswerLost([shard]), 3, 0, [0, 1])
    for task, first in ((0, 0), (1, 10), (0, 20)):
        writer.write(make_transitions(task, 4, first), (), 7)
    assert writer.flush(5.0)
    logged, _ = read_acknowledged(tmp_path / "log" / "actor-3.jsonl")
    assert sorted(
        (entry.actor, entry.task_id, entry.sequence, entry.weights_version) for entry in logged
    ) == [
        (3, 0, 0, 7),
        (3, 0, 1, 7),
        (3, 1, 0, 7),
    ]
    stored = np.load(tmp_path / "shard-0" / "transitions.npy")
    for task, size in ((0, 8), (1, 4)):
        digests = np.concatenate([entry.digest for entry in logged if entry.task_id == task])
        assert sorted(digests) == sorted(row_digests(stored[task, :size]))


def test_a_chunk_that_is_not_stored_is_not_logged(
    make_plan: MakePlan, make_transitions: MakeTransitions, tmp_path: Path
) -> None:
    plan = make_plan(2, {"acknowledgement_log": str(tmp_path)})
    shard = Shard(0, plan)
    shard.set_insert_limit(0, 8)
    writer = ReplayWriter(plan, LocalTransport([shard]), 0, 0, [0])
    for first in range(0, 16, 4):
        writer.write(make_transitions(0, 4, first), (), 0)
    logged, _ = read_acknowledged(tmp_path / "actor-0.jsonl")
    assert writer.unacknowledged == 2
    assert sum(len(entry.digest) for entry in logged) == shard.stats().inserted[0] == 8


def test_a_line_cut_short_costs_only_itself_and_reading_goes_on_where_it_ended(
    make_chunk: MakeChunk, tmp_path: Path
) -> None:
    path = tmp_path / "actor-0.jsonl"
    AcknowledgementLog(tmp_path, 0, SPEC).append(make_chunk(0, 3, 0))
    first, offset = read_acknowledged(path)
    assert [entry.sequence for entry in first] == [0]
    assert read_acknowledged(path, offset) == ([], offset)
    with path.open("a") as file:
        file.write('\n[17.5, 1, 0, 0, 1, 0, 0, "00')
    torn, offset = read_acknowledged(path, offset)
    assert torn == []
    log = AcknowledgementLog(tmp_path, 0, SPEC)
    log.append(make_chunk(0, 3, 2))
    more, offset = read_acknowledged(path, offset)
    assert [entry.sequence for entry in more] == [2]
    log.append(make_chunk(1, 2, 0))
    assert [entry.task_id for entry in read_acknowledged(path, offset)[0]] == [1]
    assert len(read_acknowledged(path)[0]) == 3


def test_a_disk_without_room_costs_the_log_its_line_and_nothing_else(
    make_plan: MakePlan, make_transitions: MakeTransitions, tmp_path: Path
) -> None:
    (tmp_path / "actor-0.jsonl").symlink_to("/dev/full")
    plan = make_plan(2, {"acknowledgement_log": str(tmp_path)})
    shard = Shard(0, plan)
    writer = ReplayWriter(plan, LocalTransport([shard]), 0, 0, [0])
    writer.write(make_transitions(0, 4), (), 0)
    assert writer.unacknowledged == 0 and shard.stats().inserted[0] == 4


@pytest.mark.parametrize("word", range(13))
def test_digests_tell_rows_apart_that_differ_in_one_word(make_chunk: MakeChunk, word: int) -> None:
    rows = pack(make_chunk(0, 3).transitions, row_dtype(SPEC))
    before = row_digests(rows)
    assert len(set(before.tolist())) == 3
    rows.view(np.uint32).reshape(3, -1)[1, word] ^= 1
    assert (row_digests(rows) == before).tolist() == [True, False, True]
