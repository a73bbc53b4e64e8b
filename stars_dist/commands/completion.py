"""What a shell completes: names of suites and presets, at the speed of a key press."""

from __future__ import annotations


def suite_names(incomplete: str) -> list[str]:
    """Name the suites that begin so; tasks of Meta-World have to be typed, as to list them takes a second."""
    from actors.suites import FAMILIES

    grammar = [name.strip() for entry in FAMILIES.values() for name in entry.grammar.split(", ")]
    return [name for name in grammar if name.startswith(incomplete)]


def preset_names(incomplete: str) -> list[str]:
    """Name the presets that begin so, of which only the file names are read."""
    from importlib import resources
    from pathlib import Path

    place = Path(str(resources.files("stars_dist") / "config" / "presets"))
    return sorted(path.stem for path in place.glob("*/*.yaml") if path.stem.startswith(incomplete))
