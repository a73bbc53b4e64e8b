"""The token of a local Ray: a file that its user alone can read, and no file where none can be written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stars_dist.cluster.auth_token import MODE, TOKEN, TOKEN_PATH, prepare_token


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in (MODE, TOKEN, TOKEN_PATH):
        monkeypatch.setenv(name, "")  # so that it is put back after the test
        monkeypatch.delenv(name)
    return tmp_path


def test_a_new_token_is_its_users_alone(home: Path) -> None:
    before = os.umask(0)
    try:
        prepare_token()
    finally:
        os.umask(before)
    file = home / ".ray" / "auth_token"
    assert file.stat().st_mode & 0o777 == 0o600 and file.parent.stat().st_mode & 0o777 == 0o700
    token = file.read_text()
    assert len(token) == 64
    prepare_token()
    assert file.read_text() == token, "other programs may use it"
    assert TOKEN not in os.environ


def test_one_that_others_could_read_is_closed_to_them(home: Path) -> None:
    file = home / ".ray" / "auth_token"
    file.parent.mkdir()
    file.write_text("made by ray")
    file.chmod(0o644)
    prepare_token()
    assert file.stat().st_mode & 0o777 == 0o600 and file.read_text() == "made by ray"


def test_without_a_home_that_can_be_written_the_processes_inherit_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/dev/null/home")
    prepare_token()
    assert len(os.environ[TOKEN]) == 64


@pytest.mark.parametrize(("name", "value"), [(MODE, "disabled"), (TOKEN, "f" * 64), (TOKEN_PATH, "/a/file")])
def test_what_the_user_has_set_stays(
    name: str, value: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    prepare_token()
    assert os.environ[name] == value and list(home.iterdir()) == []
