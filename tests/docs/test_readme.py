"""The README: short enough to be read, with pictures at its top and links that lead somewhere."""

from __future__ import annotations

import re

from tests.docs.pages import ROOT

README = (ROOT / "README.md").read_text()


def test_it_is_short_and_begins_with_a_result_and_the_live_view() -> None:
    lines = README.splitlines()
    assert len(lines) <= 150
    pictures = re.findall(r"!\[(.+)\]\((.+)\)", "\n".join(lines[:15]))
    assert len(pictures) == 2 and "live view" in pictures[1][0]


def test_every_page_that_it_names_exists() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert len(links) > 20
    assert not [link for link in links if not (ROOT / link).exists()]
