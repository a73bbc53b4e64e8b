"""The registry of suites: which family a suite's name belongs to, and how suites are written."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # a family's libraries are loaded when the first of its suites is asked for
    from actors.families.family import Family
    from actors.tasks import Suite


class FamilyEntry(NamedTuple):
    """What is known of a family before its module is loaded."""

    prefix: (
        str  # of its suites' names; a name belongs to the family with the longest prefix that it begins with
    )
    grammar: str  # how its suites are written


FAMILIES = {  # one line per module of actors/families/
    "metaworld": FamilyEntry("", "mt10, mt25, mt50, starter, middle"),
    "toy": FamilyEntry("toy", "toy:N"),
    "gymnasium": FamilyEntry("gym:", "gym:ID,..."),
}
SUITE_GRAMMAR = (
    ", ".join(entry.grammar for entry in FAMILIES.values())
    + ", or a comma-separated list of Meta-World tasks"
)


def parse_suite(text: str, horizon: int | None = None) -> Suite:
    """Find the suite of a name.

    Args:
        text: a name as SUITE_GRAMMAR describes.
        horizon: steps per episode; None takes each task's own.

    Raises:
        ValueError: no family knows the name; the message has the nearest one.
    """
    name = text.strip()
    owners = [family for family, entry in FAMILIES.items() if name.startswith(entry.prefix)]
    return load_family(max(owners, key=lambda family: len(FAMILIES[family].prefix))).parse(name, horizon)


def prepare_suite(suite: Suite, seed: int, path: Path | None = None) -> None:
    """Compute what a suite's environments share, into a file for the processes that will build them.

    Without a file it is kept in this process, so that a later call with one has it at once.
    """
    family_of(suite).prepare(suite, seed, path)


def family_of(suite: Suite) -> Family:
    """Load the family of a suite's tasks."""
    return load_family(suite.tasks[0].family)


def load_family(name: str) -> Family:
    """Load a family by the name of its module, which `TaskSpec.family` holds."""
    return importlib.import_module(f"actors.families.{name}").FAMILY
