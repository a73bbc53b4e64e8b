"""A count in words: `1 actor`, `50 actors`."""

from __future__ import annotations


def counted(count: float, noun: str) -> str:
    """Say a whole number of things."""
    return f"{count:,.0f} {noun}{'' if count == 1 else 's'}"
