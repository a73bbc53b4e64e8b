"""The identity of a replay directory: a shard opens no other, and files that a checkpoint does not know stay apart."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from replay_service.identity import IDENTITY_FILE, give_identity, read_identity, set_foreign_aside
from replay_service.plan import ReplayPlan
from replay_service.shard import Shard
from replay_service.types import Chunk


def filled(directory: Path, plan: ReplayPlan, chunk: Chunk) -> Shard:
    """A shard that has stored a chunk in a directory, and was closed."""
    shard = Shard(0, plan, directory, identity=give_identity(directory).name)
    shard.insert(chunk, 0.0)
    shard.close()
    return shard


@pytest.mark.parametrize("has_files", [True, False])
def test_a_shard_refuses_the_directory_of_another_disk(
    has_files: bool, make_plan: Callable[..., ReplayPlan], make_chunk: Callable[..., Chunk], tmp_path: Path
) -> None:
    """It lies at the same path, as on a node that has an older replay of the run, or none."""
    plan, here, there = make_plan(replay={"storage": "mapped"}), tmp_path / "here", tmp_path / "there"
    mine = give_identity(here).name
    if has_files:
        filled(there, plan, make_chunk(0, 4))
    with pytest.raises(ValueError, match=f"must open the replay directory of its run, {mine}, {there} "):
        Shard(0, plan, there, identity=mine)
    assert there.exists() == has_files


def test_processes_of_a_shard_differ_where_their_counts_are_equal(
    make_plan: Callable[..., ReplayPlan], make_chunk: Callable[..., Chunk], tmp_path: Path
) -> None:
    plan = make_plan(replay={"storage": "mapped"})
    stats = [filled(tmp_path / name, plan, make_chunk(0, 4)).stats() for name in ("here", "there")]
    assert stats[0].incarnation == stats[1].incarnation == 1
    assert stats[0].process_name != stats[1].process_name


def test_an_identity_is_kept_by_a_copy_and_given_once(tmp_path: Path) -> None:
    identity = give_identity(tmp_path / "replay", follows="before")
    assert give_identity(tmp_path / "replay") == identity == read_identity(tmp_path / "replay")
    shutil.copytree(tmp_path / "replay", tmp_path / "copy")
    assert read_identity(tmp_path / "copy") == identity


def test_files_of_another_directory_are_set_aside_and_lose_nothing(
    make_plan: Callable[..., ReplayPlan], make_chunk: Callable[..., Chunk], tmp_path: Path
) -> None:
    plan = make_plan(replay={"storage": "mapped"})
    filled(tmp_path, plan, make_chunk(0, 4))
    identity = read_identity(tmp_path)
    aside = set_foreign_aside(tmp_path, "another")
    assert aside is not None and not list(tmp_path.glob("shard-*"))
    assert read_identity(aside) == identity and Shard(0, plan, aside).stats().inserted.sum() == 4


@pytest.mark.parametrize(
    "case", ["the same", "begun after the checkpoint's", "damaged", "of one flipped bit", "of no identity"]
)
def test_files_that_may_be_the_checkpoints_stay(
    case: str, make_plan: Callable[..., ReplayPlan], make_chunk: Callable[..., Chunk], tmp_path: Path
) -> None:
    named = give_identity(tmp_path, follows="before").name
    filled(tmp_path, make_plan(replay={"storage": "mapped"}), make_chunk(0, 4))
    if case == "damaged":
        (tmp_path / IDENTITY_FILE).write_text("{")
    if case == "of one flipped bit":
        changed = chr(ord(named[0]) ^ 1)
        (tmp_path / IDENTITY_FILE).write_text(
            (tmp_path / IDENTITY_FILE).read_text().replace(named, f"{changed}{named[1:]}")
        )
    if case == "of no identity":
        (tmp_path / IDENTITY_FILE).unlink()
    assert set_foreign_aside(tmp_path, "before" if case.startswith("begun") else named) is None
    assert len(list(tmp_path.glob("shard-*"))) == 1
