"""The pages of the site that do not lie in docs/: README and its neighbours, with links that lead to the site's pages.

A hook of MkDocs (mkdocs.yml names it): one text serves the repository and the site.
"""

from __future__ import annotations

import re
from pathlib import Path
from posixpath import dirname, normpath, relpath
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
PAGES = {  # by their place in the site, where docs/ itself is the root
    "index.md": "README.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "CHANGELOG.md": "CHANGELOG.md",
    "deploy/README.md": "deploy/README.md",
}
FILES = ("LICENSE", "CITATION.cff")
LINK = re.compile(r"(\]\()([^)#\s:]+)((?:#[^)\s]*)?\))")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages and files from outside."""
    for place, source in {**PAGES, **{name: name for name in FILES}}.items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Let links lead from where the page is in the site to where the other one is."""
    here = page.file.src_uri
    source = PAGES.get(here, f"docs/{here}")
    return LINK.sub(lambda link: f"{link[1]}{_target(link[2], source, here)}{link[3]}", markdown)


def _target(link: str, source: str, here: str) -> str:
    """Translate a link of a file of the repository into one of a page of the site."""
    linked = normpath(f"{dirname(source)}/{link}") if dirname(source) else normpath(link)
    outside = {file: place for place, file in PAGES.items()} | {name: name for name in FILES}
    place = outside.get(linked, linked.removeprefix("docs/"))
    return relpath(place, dirname(here) or ".")
