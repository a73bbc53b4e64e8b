"""The result of a chaos run: which recoveries count, the JSON, the page."""

from __future__ import annotations

import json
from pathlib import Path

from stars_dist.chaos.audit import Ratio
from stars_dist.chaos.page import write_page
from stars_dist.chaos.result import ChaosResult
from stars_dist.chaos.schedule import KINDS, Fault
from stars_dist.chaos.stored_transitions import TransitionAudit
from stars_dist.chaos.strike import Strike

HONEST = TransitionAudit(1000, 0, 0, 30, 0, 970)


def strike(number: int, name: str, recovery_s: float | None, is_alone: bool = True) -> Strike:
    (kind,) = [kind for kind in KINDS if kind.name == name]
    survived_at = None if recovery_s is None else 100.0 + recovery_s
    return Strike(
        Fault(number, 1.0, kind, 0.0, 0.5), "victim", 100.0, survived_at=survived_at, is_alone=is_alone
    )


STRIKES = (
    strike(1, "kill actor", 4.0),
    strike(2, "kill actor", 6.0),
    strike(3, "kill actor", 90.0, is_alone=False),
    strike(4, "freeze actor", 25.0),
    strike(5, "kill shard", None),
)


def test_a_recovery_is_the_median_over_kills_beside_which_nothing_else_struck() -> None:
    result = ChaosResult(STRIKES, HONEST, Ratio(0.0123456, 10.0, 100.0), 0, ["no progress"], [], 1000, 10)
    assert result.to_json() == {
        "faults": 5,
        "survived": 4,
        "lost_acknowledged": 0,
        "duplicates": 0,
        "orphan_processes": 0,
        "recovery_s": {"actor": 5.0, "shard": None, "learner": None, "coordinator": None},
        "update_ratio_error": 0.0123,
        "failures": ["no progress"],
    }
    assert result.has_failed
    assert [(row.name, row.struck, row.survived, row.times) for row in result.rows()] == [
        ("kill actor", 3, 3, [4.0, 6.0]),
        ("freeze actor", 1, 1, [25.0]),
        ("kill shard", 1, 0, []),
    ]


def test_the_page_has_command_commit_table_audit_and_what_failed(tmp_path: Path) -> None:
    result = ChaosResult(STRIKES, HONEST, Ratio(0.0, 0.0, 100.0), 0, ["one thing"], ["left out"], 1000, 10)
    start = {"command": "stars-dist chaos --seed 7", "commit": "abc", "started": "today", "python": "3.11"}
    page = write_page(
        tmp_path, result, start | {"versions": {"ray": "2.60"}, "platform": "Linux"}, (3.0, 12.4)
    )
    text = page.read_text()
    for words in (
        "`stars-dist chaos --seed 7`, commit abc",
        "ray 2.60",
        "load average 3 to 12",
        "- one thing",
    ):
        assert words in text
    assert "| kill actor | 3 | 3 | 5.0 | 6.0 | 2 |" in text and "| kill shard | 1 | 0 | - | - | 0 |" in text
    raw = json.loads((tmp_path / "chaos.json").read_text())
    assert [fault["recovery_s"] for fault in raw["faults"]] == [4.0, 6.0, 90.0, 25.0, None]
