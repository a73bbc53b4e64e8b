"""The board of a run: what TensorBoard shows beyond single numbers, kept up to date as the run goes on."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import numpy as np
import yaml

from actors.policy_weights import find_policy_file, read_policy
from learner.loop import LearnerReport
from learner.reported_rows import ReportedRows
from stars_dist.config.run_plan import RunPlan
from stars_dist.monitor.features import policy_features, principal_plane, write_projector
from stars_dist.monitor.overview import LAYOUT, temperatures
from stars_dist.monitor.pictures import QUOTA_SCALE, SUCCESS_SCALE, feature_picture, heat_map
from stars_dist.monitor.task_history import TaskHistory
from stars_dist.monitor.tensorboard_log import TensorBoardLog
from stars_dist.run_files.directory import RunDirectory
from stars_dist.schedule import StepPeriod

PICTURES_PER_RUN = 20  # beside those of evaluations; TensorBoard keeps ten of a tag
HISTOGRAMS_PER_RUN = 100


class Board:
    """Writes texts and the layout at the start, histograms and heat maps on the way, features at evaluations."""

    def __init__(self, run: RunDirectory, plan: RunPlan, log: TensorBoardLog, env_steps: int = 0) -> None:
        """`env_steps`: where the run goes on; what is known of its tasks until there is read from its metrics."""
        self._run, self._plan, self._log = run, plan, log
        self._history = TaskHistory(plan.suite.task_names, plan.total_steps)
        if env_steps:
            self._history.restore(run.metrics_file)
        self._pictures = StepPeriod(-(-plan.total_steps // PICTURES_PER_RUN), env_steps)
        self._histograms = StepPeriod(-(-plan.total_steps // HISTOGRAMS_PER_RUN), env_steps)
        self._rows: ReportedRows | None = None
        self._begin(env_steps)

    def record(self, env_steps: int, values: Mapping[str, float]) -> None:
        """Record what the shards tell; draw the heat maps when they are due."""
        self._history.record(env_steps, values)
        if self._pictures.is_due(env_steps):
            self._draw_heat_maps(env_steps)

    def record_learner(self, report: LearnerReport) -> None:
        """Record a report of the learner; write the histograms when they are due."""
        self._history.record(report.env_steps, report.values)
        self._rows = report.rows or self._rows
        if self._histograms.is_due(report.env_steps):
            alpha = temperatures(report.values, self._plan.suite.task_names)
            if alpha.size:
                self._log.histogram(report.env_steps, "overview/temperatures", alpha)
            if report.rows is not None:
                self._log.histogram(report.env_steps, "overview/priorities", report.rows.priority)

    def draw(self, env_steps: int) -> None:
        """Draw everything as it is now; what cannot be written is lost and nothing else."""
        self._draw_heat_maps(env_steps)
        with contextlib.suppress(OSError, ValueError):  # no whole checkpoint yet, or a full disk
            self._draw_features(env_steps)

    def _begin(self, env_steps: int) -> None:
        self._log.layout(LAYOUT)
        config = yaml.safe_dump(self._plan.config.model_dump(mode="json"), sort_keys=False)
        self._log.text(env_steps, "run/configuration", f"```yaml\n{config}```")
        record = self._run.read_provenance()
        start = (record["resumes"] or [record])[-1]
        versions = "".join(f"\n- {name} {version}" for name, version in (start.get("versions") or {}).items())
        command = f"    {start['command']}\n\ncommit {start.get('commit') or 'unknown'}\n{versions}"
        self._log.text(env_steps, "run/command", command)

    def _draw_heat_maps(self, env_steps: int) -> None:
        names, steps = self._plan.suite.task_names, self._plan.total_steps
        for tag, values, scale in (
            ("overview/success_of_tasks", self._history.success, SUCCESS_SCALE),
            ("overview/quotas_of_tasks", self._history.quota, QUOTA_SCALE),
        ):
            if np.isfinite(values).any():
                self._log.image(env_steps, tag, heat_map(values, names, steps, scale))

    def _draw_features(self, env_steps: int) -> None:
        if self._rows is None:
            return
        suite, task_id = self._plan.suite, self._rows.task_id
        weights, _ = read_policy(find_policy_file(self._run.path))
        features = policy_features(weights, self._rows.obs, task_id, suite.obs_dim)
        write_projector(self._run.path, features, task_id, suite.task_names)
        planes = [(branch, principal_plane(rows)) for branch, rows in features.items()]
        if planes:
            self._log.image(
                env_steps, "overview/features", feature_picture(planes, task_id, suite.task_names)
            )
