"""The audit of transitions: clean after an honest run, and red after each way of tampering with one."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from stars_dist.chaos.scene import RollBack
from stars_dist.chaos.stored_transitions import TransitionAudit, audit_transitions
from tests.stars_dist.chaos.conftest import ROWS, Filler, LeftReplay


@pytest.fixture
def left(filler: Filler) -> LeftReplay:
    for task, chunks in ((0, 3), (1, 2), (2, 5)):
        filler.write(task, chunks)
    return filler.close()


def opened(left: LeftReplay, shard: int, name: str) -> np.ndarray:
    return np.load(left.replay / f"shard-{shard}" / f"{name}.npy", mmap_mode="r+")


def test_an_honest_run_has_lost_and_doubled_nothing(left: LeftReplay) -> None:
    assert audit_transitions(*left, []) == TransitionAudit(10 * ROWS, 0, 0, 0, 0, 10 * ROWS)


def test_a_table_that_went_back_by_a_chunk_has_lost_it(left: LeftReplay) -> None:
    opened(left, 0, "tables")["count"][1] -= ROWS
    assert audit_transitions(*left, []).lost == ROWS


def test_a_row_that_was_torn_is_lost(left: LeftReplay) -> None:
    opened(left, 1, "transitions")["reward"][0, 3] = 0.0
    audit = audit_transitions(*left, [])
    assert (audit.lost, audit.duplicates) == (1, 0)


def test_a_chunk_that_was_stored_twice_is_found(left: LeftReplay) -> None:
    rows, tables = opened(left, 1, "transitions"), opened(left, 1, "tables")
    rows[0, 2 * ROWS : 3 * ROWS] = rows[0, :ROWS]
    tables["count"][0] += ROWS
    audit = audit_transitions(*left, [])
    assert (audit.lost, audit.duplicates, audit.inserted) == (0, ROWS, 11 * ROWS)


def test_a_shard_that_is_gone_has_lost_everything(left: LeftReplay) -> None:
    shutil.rmtree(left.replay / "shard-0")
    assert audit_transitions(*left, []).lost == 8 * ROWS


def test_an_insertion_that_a_kill_cut_short_after_its_commit_counts_as_stored(left: LeftReplay) -> None:
    """As the next start of the shard would apply it."""
    rows, tables = opened(left, 1, "transitions"), opened(left, 1, "tables")
    header, journal = opened(left, 1, "journal_header"), opened(left, 1, "journal_transitions")
    journal[:ROWS] = rows[0, ROWS : 2 * ROWS]
    header["table"], header["first"], header["rows"] = 0, ROWS, ROWS
    rows["reward"][0, ROWS + 1] = 0.0
    tables["count"][0] = ROWS
    assert audit_transitions(*left, []).lost == ROWS
    opened(left, 1, "journal_committed")[...] = 1
    assert audit_transitions(*left, []) == TransitionAudit(10 * ROWS, 0, 0, 0, 0, 10 * ROWS)


def test_what_was_acknowledged_between_a_copy_and_its_return_is_not_lost_but_rolled_back(
    filler: Filler,
) -> None:
    filler.write(0, 2)
    filler.write(1, 1)
    time.sleep(0.01)
    copied_at = time.time()
    older = opened(filler.left, 0, "tables")["count"].copy()
    time.sleep(0.01)
    filler.write(0, 3)
    filler.write(1, 2)
    left = filler.close()
    opened(left, 0, "tables")["count"][:] = older
    roll_back = RollBack(frozenset({0, 2}), copied_at, time.time())
    audit = audit_transitions(*left, [roll_back])
    assert (audit.lost, audit.rolled_back) == (0, 3 * ROWS)
    assert audit_transitions(*left, []).lost == 3 * ROWS
    opened(left, 0, "tables")["count"][0] -= ROWS
    assert audit_transitions(*left, [roll_back]).lost == ROWS, "it was there before the copy"


def test_a_chunk_that_is_made_again_after_a_roll_back_is_stored_once_and_rolled_back_once(
    filler: Filler,
) -> None:
    filler.write(0, 2)
    time.sleep(0.01)
    copied_at, chunk = time.time(), filler.transitions(0)
    count = opened(filler.left, 0, "tables")["count"]
    older = count.copy()
    time.sleep(0.01)
    filler.writer.write(chunk, (), 0)
    assert filler.writer.flush(10.0)  # it is noted as acknowledged
    count[:] = older
    time.sleep(0.01)  # the log's clock counts milliseconds
    roll_back = RollBack(frozenset({0, 2}), copied_at, time.time())
    time.sleep(0.01)
    filler.writer.write(chunk, (), 0)
    audit = audit_transitions(*filler.close(), [roll_back])
    assert (audit.acknowledged, audit.lost, audit.rolled_back, audit.duplicates) == (4 * ROWS, 0, ROWS, 0)


def test_a_full_ring_has_overwritten_its_oldest_rows_and_lost_none(tmp_path: Path) -> None:
    filler = Filler(tmp_path, capacity=16)
    filler.write(0, 6)
    left = filler.close()
    assert audit_transitions(*left, []) == TransitionAudit(24, 0, 0, 0, 8, 24)
    opened(left, 0, "transitions")["reward"][0, 9] = 0.5
    opened(left, 0, "tables")["count"][0] = 22  # as though it had overwritten six
    assert audit_transitions(*left, []).lost == 3
