"""`python -m stars_dist.reference.write_pages docs`: the pages of the documentation that are written from the code."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from stars_dist.reference.commands_page import commands_page
from stars_dist.reference.configuration_page import configuration_page
from stars_dist.reference.metrics_page import metrics_page

NOTE = "<!-- Written by `make docs-reference` from the code; edit it there. -->\n\n"


def pages(docs: Path) -> Mapping[str, str]:
    """Write every page as text, by its file name in the directory of the documentation."""
    example = (docs / "examples" / "mine.yaml").read_text()
    texts = {
        "commands.md": commands_page(),
        "configuration.md": configuration_page(example),
        "metrics.md": metrics_page(),
    }
    return {name: f"{NOTE}{text.rstrip()}\n" for name, text in texts.items()}


def main() -> None:
    """Write the pages to the directory that is given."""
    docs = Path(sys.argv[1])
    for name, text in pages(docs).items():
        (docs / name).write_text(text)


if __name__ == "__main__":
    main()
