"""The site of the documentation builds without a warning, has every page, and fetches nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.docs.pages import PAGES, ROOT


def test_the_site_builds_strictly_and_stands_on_its_own(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    for page in PAGES:
        place = {"README.md": "index.md"}.get(page, page.removeprefix("docs/")).replace(
            "README.md", "index.md"
        )
        assert (tmp_path / place).with_suffix(".html").is_file(), page
    home = (tmp_path / "index.html").read_text()
    assert 'href="architecture.html"' in home and 'href="deploy/index.html"' in home
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"https?:", home)
