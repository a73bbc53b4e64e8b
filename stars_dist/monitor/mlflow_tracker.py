"""A run in MLflow: on the server of MLFLOW_TRACKING_URI, or where MLflow keeps runs without one."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stars_dist.config.merge import leaves
from stars_dist.config.run_config import RunConfig
from stars_dist.run_files.directory import RunDirectory

EXPERIMENT = "stars-dist"  # unless MLFLOW_EXPERIMENT_NAME names another
MOST_METRICS, MOST_PARAMETERS = 1000, 100  # of a request, MLflow's own bounds


class MlflowTracker:
    """Logs against environment steps."""

    def __init__(self, run: RunDirectory, config: RunConfig, run_id: str | None) -> None:
        from mlflow import MlflowClient

        self._client: Any = MlflowClient()
        if run_id is None:
            tags = {"run_directory": str(run.path.absolute())}
            created = self._client.create_run(self._experiment_id(), tags=tags, run_name=run.path.name)
            self.run_id = str(created.info.run_id)
            self._log_parameters(config)
        else:
            self.run_id = run_id
            self._client.update_run(run_id, status="RUNNING")

    def log(self, env_steps: int, wall_time_s: float, values: Mapping[str, float]) -> None:
        """Log values."""
        from mlflow.entities import Metric

        now_ms = time.time_ns() // 1_000_000
        everything = {**values, "wall_time_s": wall_time_s}
        metrics = [Metric(mlflow_name(name), value, now_ms, env_steps) for name, value in everything.items()]
        for some in _batches(metrics, MOST_METRICS):
            self._client.log_batch(self.run_id, metrics=some)

    def close(self) -> None:
        """End the run."""
        self._client.set_terminated(self.run_id)

    def _experiment_id(self) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        known = self._client.get_experiment_by_name(name)
        return self._client.create_experiment(name) if known is None else known.experiment_id

    def _log_parameters(self, config: RunConfig) -> None:
        from mlflow.entities import Param

        values = leaves(config.model_dump(mode="json"))
        for some in _batches([Param(".".join(key), str(value)) for key, value in values], MOST_PARAMETERS):
            self._client.log_batch(self.run_id, params=some)


def mlflow_name(name: str) -> str:
    """Write group/name/task as group/name.task: MLflow's files have no place for a name and for names below it."""
    return ".".join(["/".join(name.split("/", 2)[:2]), *name.split("/", 2)[2:]])


def _batches(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))
