"""The audit of a chaos run: what was lost, doubled, left over or out of its bounds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from stars_dist.chaos.observations import MetricLine
from stars_dist.chaos.scene import Span
from stars_dist.chaos.stored_transitions import TransitionAudit
from stars_dist.config.run_plan import RunPlan

CLOCKS = ("env_steps", "learner_steps", "wall_time_s")
# The kinds of lines in a metrics file, and a name that each line of a kind has
MARKERS = {
    "periodic lines": "perf/env_steps_per_s",
    "reports of the learner": "perf/updates_per_s",
    "evaluations": "eval/mean_return",
}
LONGEST_GAP_S = 60.0  # between two periodic lines of the metrics, which are 5 s apart on an idle machine


class Ratio(NamedTuple):
    """Updates to data at the end of a run."""

    error: float  # relative, of the measured samples per insert
    off_rows: float  # rows off the configured ratio
    bound_rows: float


def ratio_of(plan: RunPlan, env_steps: int, learner_steps: int) -> Ratio:
    """Compare the updates of a run with those that its transitions call for."""
    replay, inserted = plan.replay, max(env_steps - plan.replay.total_warmup_steps, 0)
    due, made = replay.samples_per_insert * inserted, learner_steps * replay.batch_size
    # Batches that wait in the learner count as drawn there and are no updates yet.
    prefetched = (plan.config.learner.prefetch_calls + 1) * plan.config.learner.batches_per_call
    bound = replay.error_buffer + prefetched * replay.batch_size
    return Ratio(abs(made / due - 1) if due else 0.0, abs(due - made), bound)


def ratio_failures(ratio: Ratio) -> Iterator[str]:
    """Tell a ratio that is out of its bound."""
    if ratio.off_rows > ratio.bound_rows:
        yield (
            f"updates to data: {ratio.off_rows:,.0f} rows off the configured ratio, more than {ratio.bound_rows:,.0f}"
        )


def transition_failures(audit: TransitionAudit, unlogged_at_most: int) -> Iterator[str]:
    """Tell what is wrong between the actors' logs and the shards' files.

    `unlogged_at_most` transitions may have been stored without the actor's having noted it, as it died before.
    """
    if audit.lost:
        yield f"{audit.lost:,} of {audit.acknowledged:,} acknowledged transitions are in no shard"
    if audit.duplicates:
        yield f"{audit.duplicates:,} transitions are stored twice"
    counted = audit.inserted - audit.acknowledged
    if counted > unlogged_at_most:
        yield (
            f"the shards count {audit.inserted:,} transitions, {counted:,} more than were acknowledged; "
            f"at most {unlogged_at_most:,} may be unnoted"
        )
    if not audit.acknowledged:
        yield "the actors noted no acknowledged transition, so nothing was audited"


def learner_failures(lines: Sequence[MetricLine], floors: Sequence[tuple[float, int]]) -> Iterator[str]:
    """Tell where the learner went back behind the newest whole checkpoint of the moment of a fault.

    A line tells of up to seconds ago, so one below a checkpoint is a step back only if an earlier line was further.
    """
    falls = [
        (after.seen_at, after.learner_steps) for before, after in pairwise(lines) if _falls(before, after)
    ]
    for (at, floor), (until, _) in pairwise([*floors, (float("inf"), 0)]):
        least = min((steps for seen_at, steps in falls if at < seen_at < until), default=floor)
        if least < floor:
            yield f"the learner went back to update {least:,}, behind its whole checkpoint at {floor:,}"


def _falls(before: MetricLine, after: MetricLine) -> bool:
    return after.learner_steps < before.learner_steps


def metrics_failures(path: Path, excused: Sequence[Span], explained_s: float) -> Iterator[str]:
    """Tell what is wrong with a metrics file: damaged lines, steps that fall or are there twice, gaps.

    `excused` are lengths of time in which nothing could be written; one gap each may be as much longer.
    """
    lines = [_parse(line) for line in path.read_bytes().splitlines()]
    whole: list[dict[str, Any]] = [line for line in lines if line is not None]
    if damaged := len(lines) - len(whole):
        yield f"{damaged} lines of {path.name} are damaged"
    # A report of the learner and an evaluation carry the steps at which they were begun, and are written later.
    of_kind = {kind: [line for line in whole if marker in line] for kind, marker in MARKERS.items()}
    for kind, clock in [*((kind, "env_steps") for kind in of_kind), ("periodic lines", "wall_time_s")]:
        if falls := [(b[clock], a[clock]) for b, a in pairwise(of_kind[kind]) if a[clock] < b[clock]]:
            yield f"{clock} of {kind} falls {len(falls)} times, first from {falls[0][0]} to {falls[0][1]}"
    for kind in ("reports of the learner", "evaluations"):
        clocks = [(line["env_steps"], line["learner_steps"]) for line in of_kind[kind]]
        if doubled := len(clocks) - len(set(clocks)):
            yield f"{doubled} {kind} are there twice"
    yield from _gaps(whole, excused, explained_s)


def _gaps(lines: Sequence[dict[str, Any]], excused: Sequence[Span], explained_s: float) -> Iterator[str]:
    periodic = [line["wall_time_s"] for line in lines if "perf/env_steps_per_s" in line]
    gaps = sorted((later - earlier for earlier, later in pairwise(periodic)), reverse=True)
    allowed = sorted((until - since + explained_s for since, until in excused), reverse=True)
    for number, gap_s in enumerate(gaps):
        limit_s = allowed[number] if number < len(allowed) else 0.0
        if gap_s > max(limit_s, LONGEST_GAP_S):
            yield f"the metrics have a gap of {gap_s:.0f} s"


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        values = json.loads(line)
    except ValueError:
        return None
    return values if isinstance(values, dict) and all(clock in values for clock in CLOCKS) else None
