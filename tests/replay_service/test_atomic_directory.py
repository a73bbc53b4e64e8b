"""Numbered directories beside what people leave there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from replay_service import atomic_directory
from replay_service.atomic_directory import begin, numbered, publish


def write(parent: Path, content: str) -> Path:
    written = begin(parent)
    (written / "file").write_text(content)
    return publish(written, "step-1")


@pytest.mark.parametrize("can_exchange", [True, False])
def test_a_name_that_is_taken_gets_the_new_content(
    can_exchange: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not can_exchange:
        monkeypatch.setattr(atomic_directory, "_exchange", lambda one, other: False)
    write(tmp_path, "old")
    assert (write(tmp_path, "new") / "file").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["step-1"]


def test_a_name_that_is_taken_is_never_without_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is removed on the way, the name has its content already."""
    write(tmp_path, "old")
    found: list[str] = []
    remove = shutil.rmtree

    def note(path: Path) -> None:
        found.append((tmp_path / "step-1" / "file").read_text())
        remove(path)

    monkeypatch.setattr(shutil, "rmtree", note)
    write(tmp_path, "new")
    assert found == ["new"]


def test_numbers_decide_the_order_and_strays_are_passed_over(tmp_path: Path) -> None:
    for name in ("step-10", "step-9", "step-old", "step-²", "step-9.bak", ".writing-1", "other-3"):
        (tmp_path / name).mkdir()
    assert [path.name for path in numbered(tmp_path, "step-")] == ["step-9", "step-10"]
    assert numbered(tmp_path / "absent", "step-") == []
