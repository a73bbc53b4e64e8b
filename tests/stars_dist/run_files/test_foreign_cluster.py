"""The configuration of a run that somebody else made joins no cluster."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import yaml

from stars_dist.run_files.directory import RunDirectory
from stars_dist.run_files.foreign_cluster import check_address
from tests.stars_dist.commands.conftest import run_command


@pytest.fixture
def foreign(tmp_path: Path) -> RunDirectory:
    run = RunDirectory(tmp_path)
    run.config_file.write_text(yaml.safe_dump({"suite": "toy:4", "address": "198.51.100.7:6379"}))
    return run


def test_resume_joins_no_cluster_unasked(foreign: RunDirectory, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_command("resume", foreign.path) == 2
    error = capfd.readouterr().err
    assert "names 198.51.100.7:6379, whose processes could run code here" in error
    assert error.count("\n") == 1 and "if it is yours, add --address 198.51.100.7:6379" in error


def test_resume_joins_the_one_that_it_is_given(
    foreign: RunDirectory, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
    assert run_command("resume", foreign.path, "--address", address) == 2
    assert f"must name a running Ray cluster as HOST:PORT, got '{address}'" in capfd.readouterr().err


@pytest.mark.parametrize("address", ["auto", "local"])
def test_without_a_named_cluster_nothing_is_asked(address: str, foreign: RunDirectory) -> None:
    check_address(address, foreign.config_file)


def test_the_users_own_environment_asks_for_it(
    foreign: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "198.51.100.7:6379")
    check_address("198.51.100.7:6379", foreign.config_file)
    with pytest.raises(ValueError, match="only if it is asked to"):
        check_address("198.51.100.8:6379", foreign.config_file)


def test_the_resume_command_asks_for_what_its_user_launched(foreign: RunDirectory) -> None:
    assert foreign.resume_command == f"stars-dist resume {foreign.path} --address 198.51.100.7:6379"
    foreign.config_file.write_text(yaml.safe_dump({"suite": "toy:4", "address": "auto"}))
    assert foreign.resume_command == f"stars-dist resume {foreign.path}"
