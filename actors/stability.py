"""The stability check: notices a MuJoCo simulation that has diverged."""

from __future__ import annotations

from typing import Any

# mjWARN_BADQPOS, _BADQVEL, _BADQACC, _BADCTRL: NaN or huge numbers. MuJoCo then resets the simulation and goes on,
# so that the observation after it looks sound and belongs to no episode.
_BAD_STATE = slice(4, 8)
_KINDS = ("qpos", "qvel", "qacc", "ctrl")


class UnstableSimulationError(RuntimeError):
    """MuJoCo met NaN or huge numbers in a simulation."""


class StabilityCheck:
    """Watches the warnings of one `MjData` since the start of an episode."""

    def __init__(self, data: Any) -> None:
        # A view of the simulation's memory: to ask the `MjData` for it at every step would take longer than the check.
        self._number = data.warning.number[_BAD_STATE]
        self.begin()

    def begin(self) -> None:
        """Begin an episode: clear the warnings, which not every environment's reset does."""
        self._number[:] = 0

    def check(self) -> None:
        """Raise UnstableSimulationError if there was a warning in this episode."""
        if any(self._number.tolist()):
            kinds = [kind for kind, count in zip(_KINDS, self._number.tolist(), strict=True) if count]
            raise UnstableSimulationError(
                f"MuJoCo met NaN or huge values in {' and '.join(kinds)} and reset the simulation"
            )
