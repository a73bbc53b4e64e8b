"""The project from Python: `train`, `load_policy`, `make_env` and `Run`, which reads what a run has written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import typer
from numpy.typing import NDArray

from actors.environment import make_environment as make_env
from actors.evaluation_result import EvaluationResult
from actors.policy import LoadedPolicy, load_policy
from actors.registration import register
from stars_dist.config.merge import command_layers, flag_layer, resolve
from stars_dist.config.run_config import RunConfig
from stars_dist.errors import RunFailedError, UserError
from stars_dist.monitor.metrics import Clocks, read_metrics
from stars_dist.run_files.directory import RunDirectory
from stars_dist.status.run_status import RunStatus, read_status

__all__ = ["Run", "load_policy", "make_env", "train"]
_INTERRUPTED = 130

register()  # Meta-World's tasks, with Gymnasium, which a run loads in any case


class Run:
    """A run by its directory, live, dead or done."""

    def __init__(self, path: str | Path) -> None:
        """Find it; ValueError where there is no run."""
        self._directory = RunDirectory.existing(Path(path))

    @property
    def path(self) -> Path:
        """The run directory."""
        return self._directory.path

    @property
    def config(self) -> RunConfig:
        """The resolved configuration."""
        return self._directory.read_config()

    @property
    def provenance(self) -> dict[str, Any]:
        """What made the run: command, commit, versions, seed, origins, resumes."""
        return self._directory.read_provenance()

    def status(self) -> RunStatus:
        """Read state, progress and tasks, as `stars-dist status` shows them."""
        return read_status(self.path)

    def metrics(self, *names: str) -> dict[str, NDArray[np.float64]]:
        """Read every metric, or the named ones, as columns of one length: `pandas.DataFrame(run.metrics())`.

        A row is a line of metrics.jsonl; a metric that it does not have is nan. The clocks `env_steps`,
        `learner_steps` and `wall_time_s` are columns too.
        """
        lines = list(read_metrics(self._directory.metrics_file))
        found = names or (name for line in lines for name in line)
        columns = dict.fromkeys((*Clocks._fields, *found))
        return {name: np.array([line.get(name, np.nan) for line in lines]) for name in columns}

    def evaluation(self) -> EvaluationResult:
        """Read the evaluation at the end of the run; ValueError where it has not ended."""
        file = self._directory.evaluation_file
        if not file.is_file():
            raise ValueError(f"a run has its evaluation when it is done, {self.path} has none; see status()")
        return EvaluationResult.from_json(json.loads(file.read_text()))

    def policy(self) -> LoadedPolicy:
        """Load the policy of the newest checkpoint."""
        return load_policy(self.path)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"


def train(
    suite: str = "mt10",
    presets: Sequence[str] = ("stars",),
    *,
    settings: Mapping[str, Any] | None = None,
    run_dir: str | Path | None = None,
) -> Run:
    """Train to the step budget, evaluate, and return the run; as `stars-dist launch`, in this process.

    Args:
        suite: as `--suite`.
        presets: as `--preset`, a later one wins.
        settings: values by dotted keys, as `--set`: {"steps": 20_000, "serial": True, "sac.gamma": 0.98}.
        run_dir: absent or empty; None: a new one below runs/.

    Raises:
        ValueError: one line with rule, value and remedy; nothing was written.
        RunFailedError: the run could not go on; what it printed has the cause.
        KeyboardInterrupt: a signal ended it; it is saved, and `stars-dist resume` goes on.
    """
    label = "+".join(Path(name).stem for name in presets)
    given = {"suite": suite} | dict(settings or {})
    resolved = resolve(
        [
            *command_layers(presets, (), {}),
            *(flag_layer(f"train({key})", key, value) for key, value in given.items()),
        ]
    )
    place = None if run_dir is None else Path(run_dir).expanduser()
    run = RunDirectory.unused(place, resolved.plan.config, label)
    from stars_dist.training import start_new

    try:
        start_new(run, resolved, label)
    except UserError as error:
        raise ValueError(str(error)) from error
    except typer.Exit as end:
        if end.exit_code == _INTERRUPTED:
            raise KeyboardInterrupt from end
        raise RunFailedError(f"the run in {run.path} ended with code {end.exit_code}") from end
    finally:
        run.release()
    return Run(run.path)
