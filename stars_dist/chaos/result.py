"""The result of a chaos run: figures, failures, and how it is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, NamedTuple

from stars_dist.chaos.audit import Ratio
from stars_dist.chaos.stored_transitions import TransitionAudit
from stars_dist.chaos.strike import Strike

REPORTED = ("actor", "shard", "learner", "coordinator")


class FaultRow(NamedTuple):
    """What became of the faults of one kind."""

    name: str
    struck: int
    survived: int
    times: list[float]  # seconds to recovery, where nothing else struck meanwhile


class ChaosResult(NamedTuple):
    """All that a chaos run found out."""

    strikes: Sequence[Strike]
    transitions: TransitionAudit
    ratio: Ratio
    orphan_processes: int
    failures: Sequence[str]
    notes: Sequence[str]  # what was left out, and why
    env_steps: int
    learner_steps: int

    @property
    def survived(self) -> int:
        """Faults after which what was struck got on again."""
        return sum(strike.survived_at is not None for strike in self.strikes)

    @property
    def has_failed(self) -> bool:
        """Whether anything was lost."""
        return bool(self.failures)

    def recoveries(self, action: str, part: str) -> list[float]:
        """Return the seconds of recovery from faults of a kind during which nothing else struck."""
        return [
            strike.recovery_s
            for strike in self.strikes
            if (strike.fault.kind.action, strike.fault.kind.part) == (action, part)
            and strike.recovery_s is not None
            and strike.is_alone
        ]

    def to_json(self) -> dict[str, Any]:
        """Return the figures; a recovery is the median over the kills of that kind, null where there was none."""
        recovery_s = {part: _median(self.recoveries("kill", part)) for part in REPORTED}
        return {
            "faults": len(self.strikes),
            "survived": self.survived,
            "lost_acknowledged": self.transitions.lost,
            "duplicates": self.transitions.duplicates,
            "orphan_processes": self.orphan_processes,
            "recovery_s": recovery_s,
            "update_ratio_error": round(self.ratio.error, 4),
            "failures": list(self.failures),
        }

    def text(self) -> str:
        """Format the result for a terminal."""
        lines = [
            *self.audit_lines(),
            "",
            *self.table(),
            "",
            *(f"note: {note}" for note in self.notes),
            *(f"FAILED: {failure}" for failure in self.failures),
        ]
        return "\n".join(lines)

    def audit_lines(self) -> list[str]:
        """Tell what was compared, and with what result."""
        audit = self.transitions
        return [
            f"- {len(self.strikes)} faults, {self.survived} survived; {self.env_steps:,} environment steps, "
            f"{self.learner_steps:,} updates",
            f"- acknowledged transitions {audit.acknowledged:,}: lost {audit.lost:,}, stored twice "
            f"{audit.duplicates:,}, gone with files put back {audit.rolled_back:,}, overwritten in full rings "
            f"{audit.overwritten:,}",
            f"- updates to data off by {self.ratio.off_rows:,.0f} rows ({self.ratio.error:.2%}), "
            f"bound {self.ratio.bound_rows:,.0f}",
            f"- processes left {self.orphan_processes}",
        ]

    def table(self) -> list[str]:
        """List the recoveries by kind of fault, for a terminal."""
        head = (
            f"{'fault':24s} {'struck':>6} {'survived':>8}   recovery s: {'median':>6} {'worst':>7} {'of':>3}"
        )
        rows = [
            f"{row.name:24s} {row.struck:6d} {row.survived:8d}               {_shown(row.times, median):>6} "
            f"{_shown(row.times, max):>7} {len(row.times):3d}"
            for row in self.rows()
        ]
        return [head, *rows]

    def markdown_table(self) -> list[str]:
        """List them for a page."""
        head = [
            "| fault | struck | survived | median s | worst s | of |",
            "| --- | ---: | ---: | ---: | ---: | ---: |",
        ]
        rows = [
            f"| {row.name} | {row.struck} | {row.survived} | {_shown(row.times, median)} | {_shown(row.times, max)} "
            f"| {len(row.times)} |"
            for row in self.rows()
        ]
        return [*head, *rows]

    def rows(self) -> list[FaultRow]:
        """Sum up the strikes by kind, in the order in which the kinds came first."""
        rows = []
        for action, part in dict.fromkeys((s.fault.kind.action, s.fault.kind.part) for s in self.strikes):
            of_kind = [s for s in self.strikes if (s.fault.kind.action, s.fault.kind.part) == (action, part)]
            survived = sum(strike.survived_at is not None for strike in of_kind)
            rows.append(FaultRow(f"{action} {part}", len(of_kind), survived, self.recoveries(action, part)))
        return rows


def _shown(times: list[float], summary: Callable[[list[float]], float]) -> str:
    return f"{summary(times):.1f}" if times else "-"


def _median(seconds: list[float]) -> float | None:
    return round(median(seconds), 1) if seconds else None
