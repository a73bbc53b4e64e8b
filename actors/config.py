"""The configuration of environments, rollout actors and evaluation."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class EnvironmentConfig(BaseModel):
    """How the environments of a suite are built; training and evaluation share it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    horizon: int | None = Field(
        default=None,
        ge=1,
        description="environment steps of an episode before it is truncated; null takes the suite's own "
        "(500 for Meta-World)",
    )
    reward_version: Literal["v1", "v2"] = Field(
        default="v2", description="Meta-World reward function; published results use v2"
    )
    num_goals: int = Field(
        default=50,
        ge=1,
        le=50,
        description="goals of a task; fewer than 50 takes the first of Meta-World's 50",
    )
    fast: bool = Field(
        default=True,
        description="steps Meta-World by our faster evaluation, with the trajectories of the library to the last "
        "bit; false steps the library's own environments",
    )


class ActorsConfig(BaseModel):
    """How rollout actors step their environments and what they send."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    num_actors: int = Field(default=4, ge=1, description="rollout actor processes")
    chunk_steps: int = Field(
        default=100, ge=1, description="transitions of one task that an actor sends in one call"
    )
    warmup_actions: Literal["random", "policy"] = Field(
        default="random",
        description="what acts until the learner has made its first update: uniform random actions or the "
        "untrained policy",
    )
    max_policy_lag: int | None = Field(
        default=20_000,
        ge=0,
        description="learner steps that an actor's weights may be behind before it waits for newer ones; "
        "null sets no bound",
    )
    weights_poll_s: float = Field(
        default=0.2,
        gt=0,
        description="seconds between two looks for newer weights while an actor waits for them",
    )
    weights_deadline_s: float = Field(
        default=600.0, gt=0, description="seconds that an actor waits for newer weights before it gives up"
    )
    max_failed_episodes: int = Field(
        default=5,
        ge=0,
        description="episodes in a row that an environment may break off by raising or returning NaN before "
        "the actor stops with the cause",
    )


class EvaluationConfig(BaseModel):
    """When the policy is evaluated and over how many episodes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    episodes_per_task: int = Field(
        default=10, ge=1, description="episodes per task of an evaluation during the run"
    )
    final_episodes_per_task: int = Field(
        default=50, ge=1, description="episodes per task of the evaluation at the end of the run"
    )
    every_env_steps: int | None = Field(
        default=None,
        ge=1,
        description="environment steps over all tasks between two evaluations; null chooses from the budget",
    )
    num_processes: int = Field(
        default=1, ge=1, description="processes that share the tasks of one evaluation"
    )
