"""Numbered directories beside what people leave there."""

from __future__ import annotations

from pathlib import Path

from replay_service.atomic_directory import numbered


def test_numbers_decide_the_order_and_strays_are_passed_over(tmp_path: Path) -> None:
    for name in ("step-10", "step-9", "step-old", "step-9.bak", ".writing-1", "other-3"):
        (tmp_path / name).mkdir()
    assert [path.name for path in numbered(tmp_path, "step-")] == ["step-9", "step-10"]
    assert numbered(tmp_path / "absent", "step-") == []
