"""A sweep file: which presets, seeds and overrides are run, each combination once."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stars_dist.config.merge import command_layers, resolve
from stars_dist.config.yaml_text import read_yaml
from stars_dist.sweep.trial import Trial, check_same_run, launch_arguments

Values = dict[str, Any]
"""Values by their dotted keys, as `--set` takes them."""


class SweepFile(BaseModel):
    """What a sweep runs: every combination of presets, overrides and seeds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    suite: str = Field(description="suite of all runs")
    steps: int | None = Field(
        None, ge=1, description="environment steps of each run; null: the suite's budget"
    )
    presets: list[str] = Field(min_length=1, description="methods to compare, each NAME or NAME+NAME")
    seeds: list[int] = Field([1], min_length=1, description="seeds of each method")
    overrides: list[Values] = Field([{}], min_length=1, description="further variants of each method")
    set: Values = Field({}, description="values of all runs by dotted key")
    serial: bool = Field(True, description="each run in one process, without Ray of its own")
    cpus_per_run: int = Field(1, ge=1, description="cores that a run has, so how many go at a time")
    directory: Path | None = Field(None, description="where the runs lie; null: runs/<name of the file>")
    baseline: str | None = Field(None, description="preset that the report compares with; null: the first")

    def trials(self, directory: Path) -> list[Trial]:
        """List the runs, seed by seed, so that a sweep that is cut short has compared all methods.

        Raises:
            ValueError: a combination is no valid configuration, or stands twice.
        """
        combinations = itertools.product(self.seeds, self.presets, self.overrides)
        trials = [self._trial(directory, *combination) for combination in combinations]
        names = [trial.name for trial in trials]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"a sweep must name each run once, got {twice[0]} twice; remove the second")
        return trials

    def _trial(self, directory: Path, seed: int, preset: str, override: Values) -> Trial:
        presets = [part.strip() for part in preset.split("+")]
        # A run of one core must not start a thread for each of the machine's.
        values = {"learner.torch_threads": self.cpus_per_run} | self.set | override
        assignments = [f"{key}={json.dumps(value)}" for key, value in values.items()]
        flags = {
            ("--suite", "suite"): self.suite,
            ("--steps", "steps"): self.steps,
            ("--serial", "serial"): self.serial or None,
            ("--address", "address"): None if self.serial else "local",
            ("--seed", "seed"): seed,
        }
        name = "-".join([preset, *(f"{key}={_word(value)}" for key, value in override.items()), f"s{seed}"])
        trial = Trial(name, directory / name, seed, launch_arguments(presets, assignments, flags))
        try:
            check_same_run(trial, resolve(command_layers(presets, assignments, flags)).plan)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        return trial


def read_sweep_file(path: Path) -> SweepFile:
    """Read a sweep file; ValueError with the key that is wrong."""
    try:
        values = read_yaml(path.read_bytes())
    except FileNotFoundError:
        raise ValueError(
            f"a sweep needs a file that exists, got {path}; `stars-dist sweep --help` names an example"
        ) from None
    except OSError as error:
        raise ValueError(
            f"a sweep must be a YAML file, got {path} ({error.strerror}); name another"
        ) from None
    except (ValueError, yaml.YAMLError) as error:
        raise ValueError(
            f"a sweep must be a YAML file, {path} cannot be read ({' '.join(str(error).split())}); mend it"
        ) from None
    try:
        return SweepFile.model_validate(values)
    except ValidationError as error:
        errors = error.errors()  # a key that is mistyped is also missing: what is unknown first
        first = next((found for found in errors if found["type"] == "extra_forbidden"), errors[0])
        key = ".".join(map(str, first["loc"])) or "the file"
        known = ", ".join(SweepFile.model_fields)
        raise ValueError(
            f"{path}: {key}: {first['msg']}, got {first['input']!r}; its keys are {known}"
        ) from None


def _word(value: Any) -> str:
    """Write a value as a part of a directory's name."""
    return re.sub(r"[^\w.\-]+", "_", str(value)).strip("_")
