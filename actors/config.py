"""The configuration of environments, rollout actors and evaluation."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class EnvironmentConfig(BaseModel):
    """How the environments of a suite are built; training and evaluation share it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    horizon: int | None = Field(
        default=None,
        ge=1,
        description="environment steps per episode before it is truncated; null takes the suite's own "
        "(500 for Meta-World)",
    )
    reward_version: Literal["v1", "v2"] = Field(
        default="v2", description="Meta-World reward function; published results use v2"
    )
    num_goals: int = Field(
        default=50,
        ge=1,
        le=50,
        description="goals per task; fewer than 50 takes the first of the 50",
    )
    fast: bool = Field(
        default=True,
        description="steps Meta-World by our faster evaluation, with the trajectories of the library to the last "
        "bit; false steps the library's own environments",
    )
    observation_noise: float = Field(
        default=0.0,
        ge=0,
        allow_inf_nan=False,
        description="standard deviation of the Gaussian noise on every component of an observation",
    )
    reward_noise: float = Field(
        default=0.0,
        ge=0,
        allow_inf_nan=False,
        description="standard deviation of the Gaussian noise on every reward",
    )
    partially_observable: bool = Field(
        default=False, description="hides the goal: its components of an observation are zero"
    )


class ActorsConfig(BaseModel):
    """How rollout actors step their environments and what they send."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    num_actors: int | None = Field(
        default=None,
        ge=1,
        le=4096,
        description="rollout actor processes; null: one per task, in a serial run one",
    )
    envs_per_actor: int = Field(
        default=4,
        ge=1,
        description="environments that an actor steps in lock-step with one forward pass, shared out among its "
        "tasks; an actor with more tasks than this has one of each, and none has more of a task than chunk_steps",
    )
    chunk_steps: int = Field(
        default=100, ge=1, description="transitions of one task that an actor sends in one call"
    )
    training_horizon: int | None = Field(
        default=None,
        ge=1,
        description="environment steps per training episode before it is truncated, at most the task's horizon, "
        "which evaluations keep; null: the task's own. Short episodes see more starts and goals, and less of what "
        "comes after a task is solved (BRC trains with 200)",
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
        default=1.0,
        gt=0,
        description="seconds between two heartbeats of an actor; the reply to each brings newer weights",
    )
    weights_deadline_s: float = Field(
        default=600.0, gt=0, description="seconds that an actor waits for newer weights before it gives up"
    )
    max_failed_episodes: int = Field(
        default=5,
        ge=0,
        description="episodes in a row in which an environment may fail, by raising or returning NaN, before "
        "the actor stops with the cause",
    )
    hang_timeout_s: float = Field(
        default=60.0,
        gt=0,
        description="seconds without a heartbeat after which an actor counts as hung in an environment's step "
        "and is started again",
    )
    reassign_after_s: float = Field(
        default=120.0,
        gt=0,
        description="seconds that an actor may be away before a task that no other actor has is given to one "
        "that runs",
    )

    def envs_per_task(self, num_tasks: int) -> int:
        """Return the environments of each task that an actor with so many has, which share the task's chunks."""
        return min(max(1, self.envs_per_actor // num_tasks), self.chunk_steps)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.hang_timeout_s < 5 * self.weights_poll_s:
            raise ValueError(
                f"hang_timeout_s must be at least five times weights_poll_s, or an actor that lives counts as "
                f"hung, got {self.hang_timeout_s:g} and {self.weights_poll_s:g}; raise actors.hang_timeout_s"
            )
        return self


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
