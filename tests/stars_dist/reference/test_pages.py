"""The pages that are written from the code say what the code says now, and leave nothing out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stars_dist.config.run_config import RunConfig
from stars_dist.monitor.metric_descriptions import DESCRIPTIONS
from stars_dist.reference.metrics_page import GROUPS
from stars_dist.reference.table import table
from stars_dist.reference.write_pages import pages

DOCS = Path(__file__).parents[3] / "docs"
WRITTEN = pages(DOCS)


@pytest.mark.parametrize("name", WRITTEN)
def test_the_page_is_the_one_that_the_code_gives(name: str) -> None:
    assert (DOCS / name).read_text() == WRITTEN[name], "run `make docs-reference`"


def leaves(values: dict[str, object], prefix: str = "") -> set[str]:
    found: set[str] = set()
    for key, value in values.items():
        found |= leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}"}
    return found


def test_every_key_of_a_configuration_has_its_row_with_what_it_means() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \| `.+?` \| .+? \| (.+) \|$", WRITTEN["configuration.md"], re.M)
    assert {key for key, _ in rows} == leaves(RunConfig.model_validate({}).model_dump(mode="json"))
    assert len(rows) == len(dict(rows))


def test_every_metric_has_its_row() -> None:
    assert {name.split("/")[0] for name in DESCRIPTIONS} == set(GROUPS)
    rows = re.findall(r"^\| `([\w/]+)(?:<\w+>)?` \|", WRITTEN["metrics.md"], re.M)
    assert sorted(rows) == sorted(DESCRIPTIONS)


def test_a_bar_in_a_cell_does_not_end_it() -> None:
    assert table(("a", "b"), [("|x|", "two\nlines")])[-1] == r"| \|x\| | two lines |"
