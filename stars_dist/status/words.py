"""How a status is said: durations, success and progress, short enough for a column."""

from __future__ import annotations

BAR = 20  # characters of a full bar


def duration(seconds: float | None) -> str:
    """Say a duration in its largest units: 42 s, 12 min, 3 h 05, 2 d 04 h; a dash for none."""
    if seconds is None:
        return "-"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d}"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours:02d} h"


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
