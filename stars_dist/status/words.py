"""How a status is said: durations, success and progress, short enough for a column."""

from __future__ import annotations

from stars_dist.monitor.pace import duration_words

BAR = 20  # characters of a full bar


def duration(seconds: float | None) -> str:
    """Say a duration in its largest unit, a dash for none."""
    return "-" if seconds is None else duration_words(seconds)


def rate(value: float | None) -> str:
    """Say a success rate with two decimals, a dash for none."""
    return "-" if value is None else f"{value:.2f}"


def percent(part: int, whole: int | None) -> str:
    """Say a share of a budget: 37 %."""
    return "-" if not whole else f"{100 * part / whole:.0f} %"


def bar(value: float | None) -> str:
    """Draw a share from 0 to 1."""
    filled = round(BAR * min(max(value or 0.0, 0.0), 1.0))
    return "#" * filled + "." * (BAR - filled)
