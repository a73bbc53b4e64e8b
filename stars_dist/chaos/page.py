"""The page of a chaos run: what struck, how soon it was survived, what the audit found; raw figures beside it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from replay_service.atomic_file import write_text
from stars_dist.chaos.result import ChaosResult

MEANING = (
    "A real training while its processes, disk and files are struck at random. A recovery is the time from the fault",
    "to the first progress of what was struck: a chunk acknowledged to the actor, rows moved by the shard, updates in",
    "the metrics (written every 5 s), heartbeats at the coordinator, an evaluation; of the driver, chunks and updates",
    "after `stars-dist resume`. It holds the time for which a part was frozen or paused. Recoveries during",
    "which something else struck are left out of the times; `of` is how many are left.",
)


def write_page(
    directory: Path, result: ChaosResult, start: Mapping[str, Any], load: tuple[float, ...]
) -> Path:
    """Write chaos.md and chaos.json; `start` is the provenance, `load` the load averages during the run.

    Returns:
        The page.
    """
    directory.mkdir(parents=True, exist_ok=True)
    raw = {
        "provenance": dict(start),
        "load_average": load,
        "result": result.to_json(),
        "faults": _faults(result),
    }
    write_text(directory / "chaos.json", json.dumps(raw, indent=1) + "\n")
    page = directory / "chaos.md"
    write_text(page, _page(result, start, load))
    return page


def _faults(result: ChaosResult) -> list[dict[str, Any]]:
    began = result.strikes[0].at if result.strikes else 0.0
    return [
        {
            "number": strike.fault.number,
            "at_s": round(strike.at - began, 1),
            "fault": strike.fault.kind.name,
            "victim": strike.victim,
            "hold_s": round(strike.fault.hold_s, 1),
            "recovery_s": None if strike.recovery_s is None else round(strike.recovery_s, 1),
            "alone": strike.is_alone,
        }
        for strike in result.strikes
    ]


def _page(result: ChaosResult, start: Mapping[str, Any], load: tuple[float, ...]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in start["versions"].items())
    loads = f"{min(load):.0f} to {max(load):.0f}" if load else "unknown"
    failed = [f"- {failure}" for failure in result.failures] or ["Nothing."]
    return "\n".join(
        [
            "# Chaos",
            "",
            f"`{start['command']}`, commit {start['commit']}, {start['started']}; Python {start['python']}, "
            f"{versions}; {start['platform']}, {os.cpu_count()} cores, load average {loads}.",
            "",
            *MEANING,
            "",
            *result.markdown_table(),
            "",
            "## Audit",
            "",
            *result.audit_lines(),
            "",
            "## What failed",
            "",
            *failed,
            "",
            *(f"- {note}" for note in result.notes),
            "",
            "## Every fault",
            "",
            "Beside others where `alone` is no.",
            "",
            *_fault_table(result),
            "",
        ]
    )


def _fault_table(result: ChaosResult) -> list[str]:
    rows = [
        f"| {fault['number']} | {fault['at_s']:.1f} | {fault['fault']} | {fault['hold_s'] or '-'} "
        f"| {'-' if fault['recovery_s'] is None else fault['recovery_s']} | {'yes' if fault['alone'] else 'no'} |"
        for fault in _faults(result)
    ]
    return [
        "| | at s | fault | held s | recovery s | alone |",
        "| ---: | ---: | --- | ---: | ---: | --- |",
        *rows,
    ]
