"""The injection of faults: strikes those of a schedule when they are due, undoes them and sees them survived."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import psutil

from stars_dist.chaos.file_strikes import fill_disk, roll_back, tear_checkpoint
from stars_dist.chaos.pace import Pace
from stars_dist.chaos.process_strikes import strike_process
from stars_dist.chaos.run_strikes import kill_driver, kill_node, pause
from stars_dist.chaos.scene import Scene
from stars_dist.chaos.schedule import Fault
from stars_dist.chaos.strike import NoVictimError, Strike

POLL_S = 0.25
SURVIVAL_S = 300.0  # to the first progress after a fault, once it is undone
MOST_UNEXPECTED_ENDS = 3

Log = Callable[[str], None]


class Injection:
    """The faults that were struck, and what went wrong meanwhile.

    A process is not struck again before it has survived, nothing is struck while the driver is dead, a node lost or
    the run stopped, and none of these again before the run goes on. Otherwise faults overlap as they are drawn; what
    cannot be struck now is tried again later, beside the others.
    """

    def __init__(self, scene: Scene, log: Log) -> None:
        self.strikes: list[Strike] = []
        self.left_out: list[str] = []
        self.failures: list[str] = []
        self._scene, self._log = scene, log
        self._end = float("inf")  # of the faults, by the monotonic clock

    @property
    def has_given_up(self) -> bool:
        """Whether the run has ended by itself too often."""
        return len(self.failures) >= MOST_UNEXPECTED_ENDS

    @property
    def open(self) -> list[Strike]:
        """The strikes that are not survived yet and may still be."""
        return [s for s in self.strikes if s.survived_at is None and not _is_given_up(s)]

    def strike_all(self, schedule: Sequence[Fault], seconds: float) -> None:
        """Strike the faults of a schedule, as far as they fit into so many seconds."""
        began, pace = time.monotonic(), Pace()
        self._end = began + seconds
        postponed: dict[Fault, str] = {}
        for fault in schedule:
            while time.monotonic() - began < pace.due_s(fault):
                self.poll()
                postponed = self._try_again(postponed)
            while self._is_run_down and not self.has_given_up:
                self.poll()
            if self.has_given_up or time.monotonic() > self._end:
                break
            if (why := self._try(fault)) is not None:
                postponed[fault] = why
            else:
                pace.record(fault, time.monotonic() - began)
        self.left_out = [
            f"fault {f.number}, {f.kind.name}, was left out: {why}" for f, why in postponed.items()
        ]

    def poll(self) -> None:
        """Look once at everything: undo what is due, note what is survived, go on after an end that nobody meant."""
        time.sleep(POLL_S)
        scene = self._scene
        scene.processes.look()
        scene.seen.poll(scene.training.new_lines())
        for strike in self.open:
            if strike.is_undo_due and time.time() >= strike.at + strike.fault.hold_s:
                self._undo(strike)
            if not (strike.is_undo_due and strike.holds_everything) and strike.is_survived():
                strike.survived_at = time.time()
                self._log(_survival(strike))
        self._resume_after_unexpected_end()

    @property
    def _is_run_down(self) -> bool:
        """Whether the driver is dead, the run paused or a node gone until a strike is undone."""
        return any(strike.holds_everything and strike.is_undo_due for strike in self.open)

    def _try_again(self, postponed: dict[Fault, str]) -> dict[Fault, str]:
        """Strike what was postponed, where that is possible now; return what still is not."""
        for fault in postponed:
            if not self._is_run_down and self._try(fault) is None:
                return {other: why for other, why in postponed.items() if other != fault}
        return postponed

    def _try(self, fault: Fault) -> str | None:
        """Strike; return what it was that could not be struck, None if it was."""
        self.poll()
        if (why := self._hindrance(fault)) is not None:
            return why
        self._scene.struck = {(_struck(strike.fault), strike.number) for strike in self.open}
        try:
            self._note(self._do(fault))
        except (NoVictimError, OSError, psutil.Error) as error:  # or it ended at that moment
            return str(error)
        return None

    def _hindrance(self, fault: Fault) -> str | None:
        """Tell why a fault is not to be struck now; None if it may be."""
        if time.monotonic() + fault.hold_s > self._end:
            return "it would last longer than the faults are to"
        struck = {_struck(strike.fault) for strike in self.open}
        if _struck(fault) in struck and _struck(fault) in ("learner", "disk"):
            return "it has not survived the fault before"
        if Strike(fault, "", 0.0).holds_everything and any(strike.holds_everything for strike in self.open):
            return "the run has not survived the last one that stopped all of it"
        return None

    def _do(self, fault: Fault) -> Strike:
        action, part = fault.kind.action, fault.kind.part
        special = {"tear": tear_checkpoint, "roll back": roll_back, "fill": fill_disk, "pause": pause}
        if action in special:
            return special[action](self._scene, fault)
        if part == "driver":
            return kill_driver(self._scene, fault)
        return kill_node(self._scene, fault) if part == "node" else strike_process(self._scene, fault)

    def _note(self, strike: Strike) -> None:
        for other in self.open:
            other.is_alone = strike.is_alone = False
        self.strikes.append(strike)
        hold = f", for {strike.fault.hold_s:.0f} s" if strike.undo is not None else ""
        self._log(f"fault {strike.fault.number}: {strike.fault.kind.name}: {strike.victim}{hold}")

    def _undo(self, strike: Strike) -> None:
        assert strike.undo is not None
        strike.undo()
        strike.undone_at = time.time()

    def _resume_after_unexpected_end(self) -> None:
        is_meant = any(strike.is_undo_due and strike.holds_everything for strike in self.open)
        exit_code = self._scene.training.exit_code
        if exit_code is None or is_meant or self.has_given_up:
            return
        self.failures.append(f"the run ended with {exit_code}: {self._scene.training.last_words()}")
        self._log(f"FAILED: {self.failures[-1]}")
        if not self.has_given_up:
            self._scene.resume()


def _struck(fault: Fault) -> str:
    return "learner" if fault.kind.action == "tear" else fault.kind.part


def _is_given_up(strike: Strike) -> bool:
    since = strike.at if strike.undo is None else strike.undone_at
    return since is not None and time.time() > since + SURVIVAL_S


def _survival(strike: Strike) -> str:
    others = "" if strike.is_alone else " (others struck meanwhile)"
    kind = strike.fault.kind.name
    return f"fault {strike.fault.number}: {kind} survived after {strike.recovery_s:.1f} s{others}"
