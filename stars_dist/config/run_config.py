"""The configuration of a run: the packages' own models side by side."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from actors.config import ActorsConfig, EnvironmentConfig, EvaluationConfig
from actors.suites import SUITE_GRAMMAR
from learner.config import CheckpointConfig, LearnerConfig, SacConfig
from learner.network_config import NetworkConfig
from replay_service.config import ReplayConfig, SamplingConfig

TrackerName = Literal["wandb", "mlflow"]


class RunConfig(BaseModel):
    """Everything that decides what a run computes. Null means: chosen for the suite when the run is planned."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    suite: str = Field("mt10", description=SUITE_GRAMMAR)
    seed: int = Field(1, ge=0, lt=2**32, description="root of every random stream and of the goals")
    steps: int | None = Field(
        None, ge=1, le=10**15, description="environment steps over all tasks; null: the suite's budget"
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where the learner computes")
    serial: bool = Field(False, description="one process without Ray, in lock-step")
    address: str = Field("auto", description="Ray cluster: auto, local, or an address")
    wait_for_cores_s: float = Field(
        600.0,
        ge=0,
        allow_inf_nan=False,
        description="on a Ray cluster that runs already: how long actors wait for a core of their own while no machine "
        "is launched, before they share what is there, seconds",
    )
    answer_timeout_s: float = Field(
        20.0,
        gt=0,
        allow_inf_nan=False,
        description="how long shards, coordinator and learner may leave a question open before they count as frozen "
        "and are started again, seconds",
    )
    trackers: tuple[TrackerName, ...] = Field(
        (), description="what mirrors the metrics beside TensorBoard: wandb, mlflow, or both"
    )
    environment: EnvironmentConfig = EnvironmentConfig()
    actors: ActorsConfig = ActorsConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    replay: ReplayConfig = ReplayConfig()
    sampling: SamplingConfig = SamplingConfig()
    network: NetworkConfig = NetworkConfig()
    sac: SacConfig = SacConfig()
    learner: LearnerConfig = LearnerConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
