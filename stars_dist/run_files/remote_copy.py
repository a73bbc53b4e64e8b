"""The copy of a run on storage that outlives its machine, at any place that fsspec knows by a URL.

<checkpoint.directory>/
    config.yaml, provenance.json, ...   as in the run directory, at the last start or checkpoint
    checkpoints/step-<learner_steps>/   whole once it has its manifest.json, which comes last and goes first
"""

from __future__ import annotations

import json
import posixpath
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec.core
import yaml
from fsspec.implementations.local import LocalFileSystem

from actors.checkpoint_path import DIRECTORY, PREFIX, checkpoint_paths
from replay_service import atomic_directory
from stars_dist.config.older_config import complete
from stars_dist.config.run_config import RunConfig
from stars_dist.run_files.directory import RunDirectory

MANIFEST_FILE = "manifest.json"  # as learner/checkpoint.py names it, which loads torch

Log = Callable[[str], None]


class RemoteCopy:
    """What is copied to one place, and fetched from there onto a machine that does not have it.

    Only one run at a time may write to a place: nothing there can be locked.
    """

    def __init__(self, url: str) -> None:
        """Find the file system of a URL; ValueError where fsspec has none."""
        self._url = url
        try:
            self._files, self._root = fsspec.core.url_to_fs(url)
        except Exception as error:  # each file system has errors of its own
            raise ValueError(
                f"checkpoint.directory must be a place that fsspec knows, got '{url}' ({_words(error)}); install "
                "what it names, or use a directory"
            ) from None

    @classmethod
    def of(cls, directory: str | None, run_dir: Path | None) -> RemoteCopy | None:
        """Return the copy at `checkpoint.directory`; None without one, and where the run itself lies there.

        Whoever resumes in the copy of a lost machine has it so: to copy it onto itself would remove its checkpoints.
        """
        copy = None if directory is None else cls(directory)
        return None if copy is None or copy._is_at(run_dir) else copy

    def __str__(self) -> str:
        return self._url

    def read_config(self) -> RunConfig | None:
        """Read the configuration of the run that is there; None if there is none.

        Raises:
            ValueError: the place cannot be read, or holds no configuration of this project.
        """
        try:
            text = self._files.cat_file(self._path("config.yaml"))
        except FileNotFoundError:
            return None
        except Exception as error:
            raise self._unusable(error) from None
        try:
            return RunConfig.model_validate(complete(yaml.safe_load(text)))
        except (ValueError, yaml.YAMLError) as error:
            words = " ".join(str(error).split())
            raise ValueError(
                f"a copy's config.yaml must be as its run wrote it, that of {self} is not ({words}); use another place"
            ) from None

    def check_unused(self, run_dir: Path) -> None:
        """Check that the place is outside of the directory of a new run and holds no run; ValueError otherwise."""
        if self._is_local and run_dir.resolve() in Path(self._root).resolve().parents:
            raise ValueError(
                f"checkpoint.directory must outlive the run directory, got {self}, which is in {run_dir}; use another "
                "place"
            )
        if self.read_config() is not None:
            raise ValueError(
                f"a new run needs a checkpoint.directory without one, {self} holds a run; go on with it by "
                "`stars-dist launch`, or use another place"
            )

    def begin(self, run: RunDirectory) -> None:
        """Write the records of a start, before its first step: so a place that takes nothing is found at once.

        Raises:
            ValueError: the place cannot be written to.
        """
        try:
            self._files.makedirs(self._path(DIRECTORY), exist_ok=True)
            self._put_records(run)
        except Exception as error:
            raise self._unusable(error) from None

    def save(self, run: RunDirectory, checkpoint: Path, keep_last: int, tell: Log) -> None:
        """Copy a checkpoint and the records, and keep the newest; a place that fails costs a line, not the run."""
        try:
            self._put_checkpoint(checkpoint)
            self._put_records(run)
            self._prune(int(checkpoint.name.removeprefix(PREFIX)), keep_last)
        except Exception as error:  # each storage has errors of its own
            tell(
                f"warning: {checkpoint.name} is NOT copied to {self} ({_words(error)}); the next one will be tried"
            )

    def finish(self, run: RunDirectory, tell: Log) -> None:
        """Copy the records of the end."""
        try:
            self._put_records(run)
        except Exception as error:
            tell(f"warning: the evaluation is NOT copied to {self} ({_words(error)})")

    def is_ahead_of(self, run: RunDirectory) -> bool:
        """Tell whether there is a newer checkpoint than the run directory has, or a run where it has none."""
        here = [_steps(path.name) for path in checkpoint_paths(run.path)]
        there = self._whole_steps()
        return not run.config_file.is_file() or (bool(there) and max(there) > max(here, default=-1))

    def fetch(self, run: RunDirectory, log: Log) -> None:
        """Bring the records and the newest whole checkpoint into a run directory that this process has locked.

        The checkpoint comes last: where that is cut short, the copy is still ahead and is fetched again.

        Raises:
            ValueError: the place cannot be read.
        """
        try:
            for file in _records(run):
                if self._files.exists(self._path(file.name)):
                    part = file.with_name(f".{file.name}.fetched.tmp")
                    self._files.get_file(self._path(file.name), str(part))
                    part.rename(file)
            found = self._whole_steps()
            is_fetched = any(self._fetch_checkpoint(run, steps, log) for steps in reversed(found))
        except Exception as error:
            raise self._unusable(error) from None
        if found and not is_fetched:
            raise ValueError(
                f"a run that has made updates needs a whole checkpoint to go on from, {self} has none; restore one "
                "there, or use another place"
            )
        log(f"fetched from {self}: configuration, metrics and the newest checkpoint")

    def _is_at(self, path: Path | None) -> bool:
        return path is not None and self._is_local and Path(self._root).resolve() == path.resolve()

    @property
    def _is_local(self) -> bool:
        return isinstance(self._files, LocalFileSystem)

    def _put_checkpoint(self, checkpoint: Path) -> None:
        there = self._path(DIRECTORY, checkpoint.name)
        self._remove(there)  # of the same step, by an earlier start
        files = sorted(path for path in checkpoint.rglob("*") if path.is_file())
        for path in sorted(files, key=lambda path: path.name == MANIFEST_FILE):
            name = path.relative_to(checkpoint).as_posix()
            self._files.makedirs(posixpath.dirname(posixpath.join(there, name)), exist_ok=True)
            self._files.put_file(str(path), posixpath.join(there, name))

    def _put_records(self, run: RunDirectory) -> None:
        """Copy the small files and the metrics, each under another name first: it is there whole or not at all."""
        for file in _records(run):
            if file.is_file():
                part = self._path(f"{file.name}.part")
                self._files.put_file(str(file), part)
                self._files.mv(part, self._path(file.name))

    def _prune(self, newest: int, keep_last: int) -> None:
        kept = [steps for steps in self._whole_steps() if steps <= newest][-keep_last:]
        for steps in self._all_steps():
            if steps <= newest and steps not in kept:
                self._remove(self._path(DIRECTORY, f"{PREFIX}{steps}"))

    def _remove(self, checkpoint: str) -> None:
        manifest = posixpath.join(checkpoint, MANIFEST_FILE)
        if self._files.exists(manifest):
            self._files.rm_file(manifest)
        if self._files.exists(checkpoint):
            self._files.rm(checkpoint, recursive=True)

    def _fetch_checkpoint(self, run: RunDirectory, steps: int, log: Log) -> bool:
        """Fetch a checkpoint and return whether it arrived as its manifest has it; if not, nothing is kept."""
        there = self._path(DIRECTORY, f"{PREFIX}{steps}")
        written = atomic_directory.begin(run.checkpoints)
        with atomic_directory.cleared_on_error(written):
            if is_whole := self._fetch_files(there, written):
                atomic_directory.publish(written, f"{PREFIX}{steps}")
            else:
                shutil.rmtree(written)
                log(f"{PREFIX}{steps} of {self} is damaged and passed over")
        return is_whole

    def _fetch_files(self, there: str, written: Path) -> bool:
        """Fetch what a manifest lists; return False where the manifest or one of the files is damaged or missing."""
        try:
            hashes: dict[str, Any] = dict(
                json.loads(self._files.cat_file(f"{there}/{MANIFEST_FILE}"))["sha256"]
            )
        except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
            return False
        for name in (*hashes, MANIFEST_FILE):
            if posixpath.isabs(name) or ".." in name.split("/"):
                raise ValueError(f"its {MANIFEST_FILE} names {name}, which is no file of a checkpoint")
            (written / name).parent.mkdir(parents=True, exist_ok=True)
            try:
                self._files.get_file(f"{there}/{name}", str(written / name))
            except FileNotFoundError:
                return False
        return all(atomic_directory.sha256(written / name) == hashes[name] for name in hashes)

    def _all_steps(self) -> list[int]:
        place = self._path(DIRECTORY)
        if not self._files.exists(place):
            return []
        names = [posixpath.basename(path.rstrip("/")) for path in self._files.ls(place, detail=False)]
        return sorted(_steps(name) for name in names if name.removeprefix(PREFIX).isdecimal())

    def _whole_steps(self) -> list[int]:
        return [
            steps
            for steps in self._all_steps()
            if self._files.exists(self._path(DIRECTORY, f"{PREFIX}{steps}", MANIFEST_FILE))
        ]

    def _path(self, *names: str) -> str:
        return posixpath.join(self._root, *names)

    def _unusable(self, error: Exception) -> ValueError:
        return ValueError(
            f"checkpoint.directory must be a place that can be read and written, got {self} ({_words(error)}); give "
            "this machine its credentials, or use another place"
        )


def _records(run: RunDirectory) -> list[Path]:
    """List what a run directory needs beside checkpoints to go on, config.yaml first."""
    records = (run.config_file, run.provenance_file, run.snapshot_place_file, run.metrics_file)
    return [*records, run.failures_file, run.evaluation_file]


def _steps(name: str) -> int:
    return int(name.removeprefix(PREFIX))


def _words(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
