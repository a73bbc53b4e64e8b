"""The run directory: where everything that a run writes has its place."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import yaml

from stars_dist.config import RunConfig


class RunDirectory:
    """One run's files. Only one process at a time may write to it, which `lock` ensures."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: IO[str] | None = None

    @property
    def config_file(self) -> Path:
        return self.path / "config.yaml"

    @property
    def provenance_file(self) -> Path:
        return self.path / "provenance.json"

    @property
    def evaluation_file(self) -> Path:
        return self.path / "evaluation.json"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def replay(self) -> Path:
        return self.path / "replay"

    @classmethod
    def unused(cls, path: Path | None, config: RunConfig, preset_label: str) -> RunDirectory:
        """The directory of a new run, not made yet.

        Raises:
            ValueError: when the directory holds a run already or is a file.
        """
        run = cls(path or _default_path(config, preset_label))
        if run.config_file.exists():
            raise ValueError(
                f"a new run needs a directory without one, {run.path} holds a run; "
                f"use `stars-dist resume {run.path}` or another --run-dir"
            )
        nearest = next(place for place in (run.path, *run.path.absolute().parents) if place.exists())
        if not nearest.is_dir() or not os.access(nearest, os.W_OK):
            what = "no directory that can be written to" if nearest.is_dir() else "a file"
            raise ValueError(
                f"a run needs a directory to write to, {nearest} is {what}; use another --run-dir"
            )
        return run

    @classmethod
    def existing(cls, path: Path) -> RunDirectory:
        """The directory of a run that was started before.

        Raises:
            ValueError: when there is no run.
        """
        run = cls(path)
        if not run.config_file.is_file():
            raise ValueError(
                f"a run directory must hold config.yaml, {path} does not; use a directory that launch made"
            )
        return run

    def create(self) -> None:
        """Makes the directory and takes it; ValueError where that cannot be."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(
                f"a run directory must be one that can be made, got {self.path} ({error}); use another --run-dir"
            ) from None
        self.lock()

    def lock(self) -> None:
        """Takes the directory for the life of this process; another live process's claim is a ValueError."""
        self._lock = (self.path / "run.lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"a run directory serves one process at a time, {self.path} is in use; stop that run first"
            ) from None

    def write_config(self, config: RunConfig) -> None:
        text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
        write_whole(self.config_file, text)

    def read_config(self) -> RunConfig:
        return RunConfig.model_validate(yaml.safe_load(self.config_file.read_text()))

    def write_provenance(self, record: Mapping[str, Any]) -> None:
        write_whole(self.provenance_file, json.dumps(record, indent=2) + "\n")

    def read_provenance(self) -> dict[str, Any]:
        return json.loads(self.provenance_file.read_text())


def write_whole(path: Path, text: str) -> None:
    """Writes a file that appears whole or not at all."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _default_path(config: RunConfig, preset_label: str) -> Path:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    suite = config.suite.replace(":", "").replace(",", "+")
    if len(suite) > 40:
        suite = f"{suite[:40].rsplit('+', 1)[0]}+more"
    return Path("runs") / f"{suite}-{preset_label}-s{config.seed}-{stamp}"
