"""The schedule of faults: the same for a seed, every kind in a long one, none after the end."""

from __future__ import annotations

from itertools import pairwise

import pytest

from stars_dist.chaos.schedule import ALWAYS, KINDS, draw_schedule


def test_a_seed_draws_the_same_faults_and_another_seed_others() -> None:
    assert draw_schedule(3, 30) == draw_schedule(3, 30)
    assert draw_schedule(3, 30) != draw_schedule(4, 30)


@pytest.mark.parametrize("seed", range(20))
def test_half_an_hour_has_sixty_faults_of_every_kind(seed: int) -> None:
    faults = draw_schedule(seed, 30)
    assert len(faults) >= 60
    assert {fault.kind.name for fault in faults} == {kind.name for kind in KINDS}
    assert [fault.number for fault in faults] == list(range(1, len(faults) + 1))
    assert max(fault.at_s + fault.hold_s for fault in faults) <= 30 * 60
    assert all(later.at_s > earlier.at_s for earlier, later in pairwise(faults))


@pytest.mark.parametrize("seed", range(20))
def test_two_minutes_kill_each_of_the_four_kinds_that_recover(seed: int) -> None:
    faults = draw_schedule(seed, 2)
    assert {(fault.kind.action, fault.kind.part) for fault in faults} >= set(ALWAYS)
    assert max(fault.hold_s for fault in faults) < 120


def test_a_moment_has_no_fault() -> None:
    assert draw_schedule(1, 0.01) == []


def test_pauses_are_longer_than_two_minutes_and_kinds_that_cannot_be_are_left_out() -> None:
    pauses = [fault for fault in draw_schedule(1, 60) if fault.kind.action == "pause"]
    assert {fault.kind.part for fault in pauses} == {"driver", "run"}
    assert all(fault.hold_s > 120 for fault in pauses)
    kinds = [kind for kind in KINDS if kind.part not in ("disk", "node")]
    assert not {fault.kind.part for fault in draw_schedule(1, 60, kinds)} & {"disk", "node"}
