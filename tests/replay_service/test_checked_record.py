"""Checked records: one that is damaged anywhere is known as such, or reads as it was written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from replay_service.checked_record import read_record, write_record

VALUES = {"version": 2, "task_id": [0, 2], "capacity": 10_000, "written": {"boot_id": None, "clean": True}}


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write_record(tmp_path / "record.json", VALUES)
    assert read_record(tmp_path / "record.json") == VALUES


def test_a_record_of_an_earlier_version_has_no_check(tmp_path: Path) -> None:
    (tmp_path / "record.json").write_text(json.dumps(VALUES))
    assert read_record(tmp_path / "record.json") == VALUES


def test_every_flipped_bit_is_found_but_in_the_name_of_the_check(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    write_record(path, VALUES)
    whole = path.read_bytes()
    passed = set[frozenset[str]]()
    for place in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            found = read_record(path)
        except ValueError:
            continue
        if found != VALUES:
            passed.add(frozenset(found) - frozenset(VALUES))
    assert all(len(names) == 1 for names in passed), "one more name, by which a reader knows it"


@pytest.mark.parametrize("content", [b"", b"[]", b"5", b"\xff\xfe", b'{"version": 2'])
def test_what_is_no_record_is_damaged(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "record.json").write_bytes(content)
    with pytest.raises(ValueError):
        read_record(tmp_path / "record.json")
