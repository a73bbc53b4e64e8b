"""The memory that a process may still take: the machine's, or what the limit of a control group leaves."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from actors import free_memory
from actors.free_memory import free_memory_bytes

MACHINE = 1_000_000
V1, V2 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"), ("memory.max", "memory.current", "")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with a million bytes available and no group with a limit."""
    monkeypatch.setattr(free_memory, "_ROOT", tmp_path)
    monkeypatch.setattr(free_memory, "_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=MACHINE))
    return tmp_path


def write_group(place: Path, limit: int | str, usage: int, names: tuple[str, str, str] = V2) -> None:
    """A group in whose usage are 7,000 bytes of files' pages."""
    place.mkdir(parents=True, exist_ok=True)
    (place / names[0]).write_text(f"{limit}\n")
    (place / names[1]).write_text(f"{usage}\n")
    (place / "memory.stat").write_text(f"anon 5\n{names[2]}inactive_file 3000\n{names[2]}active_file 4000\n")


def test_without_a_limit_it_is_the_machines(root: Path) -> None:
    assert free_memory_bytes() == MACHINE, "no groups, as on macOS"
    (root / "groups").write_text("0::/user.slice\n")
    assert free_memory_bytes() == MACHINE
    write_group(root / "user.slice", "max", 10_000)
    assert free_memory_bytes() == MACHINE


@pytest.mark.parametrize("group", ["/", "/docker/of-the-host"])
@pytest.mark.parametrize(
    ("line", "place", "names"), [("0::{}", "", V2), ("9:pids:/\n4:memory:{}", "memory", V1)], ids=["v2", "v1"]
)
def test_the_limit_of_a_container_counts_and_pages_of_files_are_free(
    root: Path, group: str, line: str, place: str, names: tuple[str, str, str]
) -> None:
    (root / "groups").write_text(line.format(group) + "\n")
    write_group(root / place, 100_000, 60_000, names)
    assert free_memory_bytes() == 47_000
    write_group(root / place, 50_000, 60_000, names)
    assert free_memory_bytes() == 0, "a limit that was lowered meanwhile"
    write_group(root / place, 2**63 - 4096, 60_000, names)  # what v1 has in the place of none
    assert free_memory_bytes() == MACHINE


def test_the_closest_of_nested_limits_counts(root: Path) -> None:
    (root / "groups").write_text("0::/job/step\n")
    write_group(root / "job", 80_000, 70_000)
    write_group(root / "job" / "step", 60_000, 20_000)
    assert free_memory_bytes() == 17_000
    write_group(root / "job", "max", 70_000)
    assert free_memory_bytes() == 47_000
