"""Trackers: W&B and MLflow mirror what a run records, beside TensorBoard, and never hold a run up."""

from __future__ import annotations

import importlib.util
import json
import os
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from replay_service.atomic_file import write_text
from stars_dist.config.run_config import RunConfig, TrackerName
from stars_dist.run_files.directory import RunDirectory

MOST_WAITING = 10_000  # records that a tracker may be behind
CLOSE_S = 30.0  # to send what is left at the end of a run
ELSEWHERE = "TensorBoard and metrics.jsonl have everything"

Values = Mapping[str, float]


class Tracker(Protocol):
    """A service that shows runs."""

    run_id: str  # under which a resumed run goes on

    def log(self, env_steps: int, wall_time_s: float, values: Values) -> None:
        """Record values."""
        ...

    def close(self) -> None:
        """Send what is left and end the run."""
        ...


def check_installed(names: Sequence[TrackerName]) -> None:
    """Check that the packages of trackers are there, and a place for runs; ValueError with the remedy otherwise."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise ValueError(
                f"tracker {name} needs the package {name}; pip install 'stars-dist[{name}]', or leave it out"
            )
    has_place = "MLFLOW_TRACKING_URI" in os.environ or importlib.util.find_spec("sqlalchemy") is not None
    if "mlflow" in names and not has_place:
        raise ValueError(
            "tracker mlflow needs a place for its runs; set MLFLOW_TRACKING_URI=http://HOST:PORT to a server, or "
            "pip install mlflow, the whole of it, which keeps them in mlflow.db here"
        )


class TrackerMirror:
    """Sends to one tracker in a thread of its own; a tracker that fails is named once and left alone."""

    def __init__(self, name: str, open_tracker: Callable[[], Tracker], tell: Callable[[str], None]) -> None:
        self._name, self._open, self._tell = name, open_tracker, tell
        self._waiting: queue.Queue[tuple[int, float, Values] | None] = queue.Queue(MOST_WAITING)
        self._has_failed = threading.Event()
        self._thread = threading.Thread(target=self._send_all, name=f"tracker {name}", daemon=True)
        self._thread.start()

    def log(self, env_steps: int, wall_time_s: float, values: Values) -> None:
        """Hand values over; returns at once."""
        if self._has_failed.is_set():
            return
        try:
            self._waiting.put_nowait((env_steps, wall_time_s, values))
        except queue.Full:
            self._fail("it takes no records")

    def close(self) -> None:
        """Wait until everything is sent, for half a minute at most."""
        try:
            self._waiting.put_nowait(None)
        except queue.Full:
            return
        self._thread.join(CLOSE_S)
        if self._thread.is_alive():
            self._fail(f"it was not done after {CLOSE_S:g} s")

    def _send_all(self) -> None:
        try:
            tracker = self._open()
            while (record := self._waiting.get()) is not None:
                tracker.log(*record)
            tracker.close()
        except Exception as error:  # whatever a service does, the run goes on
            self._fail(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")

    def _fail(self, why: str) -> None:
        if not self._has_failed.is_set():
            self._has_failed.set()
            self._tell(f"warning: tracker {self._name} mirrors no more ({why}); {ELSEWHERE}")


def open_mirrors(run: RunDirectory, config: RunConfig, tell: Callable[[str], None]) -> list[TrackerMirror]:
    """Open the trackers that a run asks for; a resumed run goes on under the names it had."""
    return [TrackerMirror(name, _opener(name, run, config), tell) for name in config.trackers]


def _opener(name: TrackerName, run: RunDirectory, config: RunConfig) -> Callable[[], Tracker]:
    def open_tracker() -> Tracker:
        check_installed([name])
        known = _read_ids(run)
        if name == "wandb":
            from stars_dist.monitor.wandb_tracker import WandbTracker

            tracker: Tracker = WandbTracker(run, config, known.get(name))
        else:
            from stars_dist.monitor.mlflow_tracker import MlflowTracker

            tracker = MlflowTracker(run, config, known.get(name))
        with _IDS:
            write_text(run.trackers_file, json.dumps(_read_ids(run) | {name: tracker.run_id}) + "\n")
        return tracker

    return open_tracker


_IDS = threading.Lock()  # two trackers open at once


def _read_ids(run: RunDirectory) -> dict[str, str]:
    """Read which runs of the trackers are this one's; one that is lost is another run there, and no error here."""
    try:
        ids = json.loads(run.trackers_file.read_text())
    except (OSError, ValueError):
        return {}
    return {str(name): str(run_id) for name, run_id in ids.items()} if isinstance(ids, dict) else {}
