"""The run directory: where everything that a run writes has its place, and its name."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shlex
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from actors.checkpoint_path import DIRECTORY, checkpoint_path
from actors.evaluation_result import EvaluationResult
from replay_service.atomic_file import is_temporary, write_text
from replay_service.file_lock import FileLock, is_locked
from replay_service.full_disk import PlaceGoneError
from stars_dist import __version__
from stars_dist.config.older_config import complete
from stars_dist.config.run_config import RunConfig
from stars_dist.config.run_plan import RunPlan, plan_run
from stars_dist.run_files.foreign_cluster import address_option
from stars_dist.run_files.foreign_code import check_imports, permission

LOOK_S = 0.05  # longer than a look at a lock takes


class RunDirectory:
    """One run's files. Only one process at a time may write to it, which `lock` ensures."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config_file = path / "config.yaml"  # the resolved configuration
        self.provenance_file = path / "provenance.json"
        self.metrics_file = path / "metrics.jsonl"
        self.evaluation_file = path / "evaluation.json"  # the one at the end of the run
        self.curve_file = path / "curves.png"  # success over time, drawn at the end of the run
        self.failures_file = path / "failures.log"  # what died, and why
        self.checkpoints = path / DIRECTORY
        self.goals_file = path / "goals.npz"
        self.replay = path / "replay"  # the mapped files of the shards
        self.snapshots = path / "replay-snapshots"  # unless replay.snapshot_dir names another place
        self.snapshot_place_file = path / "snapshot-place.json"  # with replay.snapshot_dir
        self.trackers_file = path / "trackers.json"  # with trackers: the names of the run there
        self._lock_file = path / "run.lock"
        self._lock: FileLock | None = None

    def checkpoint(self, learner_steps: int) -> Path:
        """Name the checkpoint of a number of learner steps."""
        return checkpoint_path(self.path, learner_steps)

    @classmethod
    def unused(cls, path: Path | None, config: RunConfig, preset_label: str) -> RunDirectory:
        """Choose the directory of a new run; it is not made yet.

        Raises:
            ValueError: when the directory holds anything already, is a file or cannot be written to.
        """
        run = cls(path or _default_path(config, preset_label))
        try:
            run.check_unused()
            nearest = next(place for place in (run.path, *run.path.absolute().parents) if place.exists())
        except OSError as error:  # such as a name that is too long
            raise _unusable(run.path, error) from None
        if not nearest.is_dir() or not os.access(nearest, os.W_OK):
            what = "no directory that can be written to" if nearest.is_dir() else "a file"
            raise ValueError(
                f"a run needs a directory to write to, {nearest} is {what}; use another --run-dir"
            )
        return run

    def check_unused(self) -> None:
        """Check that the directory is absent, or empty but for what a start leaves that ended too soon to be a run.

        A start makes a run by writing config.yaml, last of its first entries; from then on `resume` goes on with it.

        Raises:
            ValueError: the directory holds a run or anything else.
        """
        if self.config_file.exists():
            raise ValueError(
                f"a new run needs a directory without one, {self.path} holds a run; "
                f"use `{self.resume_command}` or another --run-dir"
            )
        too_soon = {self._lock_file.name, self.snapshot_place_file.name, self.provenance_file.name}
        found = list(self.path.iterdir()) if self.path.is_dir() else []
        names = {path.name for path in found if not (path == self.replay and path.is_symlink())}
        foreign = sorted(name for name in names - too_soon if not is_temporary(name))
        if foreign:
            raise ValueError(
                f"a new run needs an absent or empty directory, {self.path} holds {', '.join(foreign[:3])}"
                f"{', ...' if foreign[3:] else ''}; use another --run-dir"
            )

    @classmethod
    def existing(cls, path: Path) -> RunDirectory:
        """Find the directory of a run that was started before.

        Raises:
            ValueError: when there is no run.
        """
        run = cls(path)
        if not run.config_file.is_file():
            raise ValueError(
                f"a run directory must hold config.yaml, {path} does not; `stars-dist runs [DIR]` lists runs"
            )
        return run

    def create(self) -> None:
        """Make the directory and take it; ValueError where that cannot be, or another run was faster."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unusable(self.path, error) from None
        self.lock()
        self.check_unused()

    def check_there(self) -> None:
        """Raise PlaceGoneError where a run in progress has lost its directory, in whose place nothing may be made."""
        if not self.config_file.is_file():
            raise PlaceGoneError(f"{self.path} is gone, moved or removed")

    @property
    def is_locked(self) -> bool:
        """Whether a live process writes to the directory, on any machine whose file system has its locks."""
        try:
            with self._lock_file.open() as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # none was ever taken, or the file system keeps none
            with contextlib.suppress(OSError):
                return self._lock_file.exists() and is_locked(self._lock_file)
        return False

    def lock(self) -> None:
        """Take the directory for the life of this process; another live process's claim is a ValueError."""
        try:
            with contextlib.suppress(BlockingIOError):
                self._lock = FileLock(self._lock_file)
                return
            time.sleep(LOOK_S)  # whoever looks at `is_locked` holds it for a moment
            self._lock = FileLock(self._lock_file)
        except BlockingIOError:
            raise ValueError(
                f"a run directory serves one process at a time, {self.path} is in use; stop that run first"
            ) from None
        except OSError as error:
            raise _unusable(self.path, error) from None

    @property
    def identity(self) -> int:
        """A number that the directory keeps when it is renamed, and that a copy of it does not have."""
        return self._lock_file.stat().st_ino

    def release(self) -> None:
        """Give back what `lock` took; may be repeated."""
        if self._lock is not None:
            self._lock.release()

    def write_config(self, config: RunConfig) -> None:
        """Write the resolved configuration."""
        write_text(self.config_file, yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))

    @property
    def argument(self) -> str:
        """The path as a shell takes it, and no option of a command."""
        return shlex.quote(str(self.path) if not str(self.path).startswith("-") else f"./{self.path}")

    @property
    def resume_command(self) -> str:
        """The command that goes on with the run."""
        suite, address = self._named
        return f"{permission(suite)}stars-dist resume {self.argument}{address_option(address)}"

    @property
    def _named(self) -> tuple[str, str]:
        """The suite and the cluster that the configuration names, as far as it can be read."""
        try:
            config = yaml.safe_load(self.config_file.read_text())
            return str(config["suite"]), "local" if config.get("serial") else str(
                config.get("address", "auto")
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError):
            return "", "auto"

    def read_config(self) -> RunConfig:
        """Read what `write_config` wrote, of this version or an older one; ValueError for any other file."""
        try:
            return RunConfig.model_validate(complete(yaml.safe_load(self.config_file.read_text())))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise ValueError(
                f"a run's config.yaml must be as its launch wrote it, {self.config_file} is not "
                f"({_reason(error)}); {self._remedy()}"
            ) from None

    def _remedy(self) -> str:
        """Say what mends a configuration that cannot be read: a newer version of the program, if that wrote it."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            made_by = json.loads(self.provenance_file.read_text())["versions"]["stars-dist"]
            if [int(part) for part in made_by.split(".")] > [int(part) for part in __version__.split(".")]:
                return (
                    f"stars-dist {made_by} made it, this is {__version__}: pip install --upgrade stars-dist"
                )
        return "restore it from a copy"

    def read_plan(self) -> RunPlan:
        """Plan the run anew from its configuration; ValueError if that would import what was not asked for."""
        config = self.read_config()
        check_imports(config.suite, self.config_file)
        return plan_run(config)

    def write_provenance(self, record: Mapping[str, Any]) -> None:
        """Write the record of the launch and of the resumes after it."""
        write_text(self.provenance_file, json.dumps(record, indent=2) + "\n")

    def read_provenance(self) -> dict[str, Any]:
        """Read what `write_provenance` wrote; where it is lost, what can be told without it."""
        try:
            record = json.loads(self.provenance_file.read_text())
            if isinstance(record, dict) and "resumes" in record:
                return record
        except (OSError, ValueError):
            pass
        return self._lost_provenance()

    def _lost_provenance(self) -> dict[str, Any]:
        """Fill in a record: every start has written a file of TensorBoard's, so their number is known."""
        starts = len(list(self.path.glob("events.out.tfevents.*")))
        unknown = {"command": f"(unknown: {self.provenance_file.name} was lost)"}
        return {
            **unknown,
            "commit": None,
            "versions": {},
            "seed": self.read_config().seed,
            "presets": "unknown",
            "origins": {},
            "resumes": [unknown] * max(0, starts - 1),
        }

    def has_finished(self, plan: RunPlan) -> bool:
        """Tell whether evaluation.json is of the end of the plan: a run that is given more steps keeps its old one."""
        try:
            result = EvaluationResult.from_json(json.loads(self.evaluation_file.read_text()))
            return result.env_steps >= plan.total_steps or result.learner_steps >= plan.total_updates
        except (OSError, ValueError, KeyError, TypeError):
            return False

    @property
    def num_resumes(self) -> int:
        """How often the run was resumed."""
        return len(self.read_provenance()["resumes"])


def _reason(error: Exception) -> str:
    """Say why a configuration cannot be read; of pydantic's lines the first key and what is wrong with it."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}"
    return " ".join(str(error).split())


def _unusable(path: Path, error: OSError) -> ValueError:
    remedy = "use another --run-dir"
    with contextlib.suppress(OSError):  # a name that is too long
        remedy = "copy the run to a place of yours" if (path / "config.yaml").is_file() else remedy
    return ValueError(
        f"a run directory must be one that can be made and written to, got {path} ({error.strerror}); {remedy}"
    )


def _default_path(config: RunConfig, preset_label: str) -> Path:
    stamp = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"  # runs may start within one second
    suite = config.suite.replace(":", "").replace(",", "+").replace("/", "-")
    if len(suite) > 40:
        suite = f"{suite[:40].rsplit('+', 1)[0]}+more"
    return Path("runs") / f"{suite}-{preset_label}-s{config.seed}-{stamp}"
