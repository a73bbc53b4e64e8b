"""The cores that a process may use: by its affinity and by the quota of its container."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from actors import cores
from actors.cores import num_cores


def test_affinity_counts_and_not_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cores, "_QUOTA", tmp_path / "absent")
    monkeypatch.setattr(cores, "_QUOTA_V1", tmp_path / "absent")
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert num_cores() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert num_cores() == len(before)


@pytest.mark.parametrize(
    ("quota", "expected"), [("max 100000", 8), ("150000 100000", 2), ("20000 100000", 1), ("torn", 8)]
)
def test_the_quota_of_a_container_bounds_them(
    quota: str, expected: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "cpu.max").write_text(quota)
    monkeypatch.setattr(cores, "_QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(cores, "_QUOTA_V1", tmp_path / "absent")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    assert num_cores() == expected


@pytest.mark.parametrize(("quota", "expected"), [("-1", 8), ("150000", 2), ("0", 8)])
def test_the_quota_of_an_older_container(
    quota: str, expected: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (tmp_path / "cpu.cfs_period_us").write_text("100000\n")
    monkeypatch.setattr(cores, "_QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(cores, "_QUOTA_V1", tmp_path / "cpu.cfs_quota_us")
    monkeypatch.setattr(cores, "_PERIOD_V1", tmp_path / "cpu.cfs_period_us")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    assert num_cores() == expected
