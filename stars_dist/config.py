"""The configuration of a run: the packages' own models side by side, and the values that follow from the suite."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from actors.config import ActorsConfig, EnvironmentConfig, EvaluationConfig
from actors.tasks import Suite, parse_suite
from learner.config import CheckpointConfig, LearnerConfig, NetworkConfig, SacConfig
from learner.parameter_count import count_parameters
from replay_service.config import ReplayConfig, SamplingConfig
from replay_service.plan import ReplayPlan
from replay_service.types import TransitionSpec

EVALUATIONS_A_RUN = 5
LARGEST_CHECKPOINT_PERIOD_STEPS = 100_000
SHORTEST_WARMUP_SHARE = 4  # a run shorter than its warm-up warms up for a quarter of its steps


class RunConfig(BaseModel):
    """Everything that decides what a run computes. Null means: chosen for the suite by `resolved`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    suite: str = Field(
        "mt10", description="mt10, mt25, mt50, starter, toy:N, gym:ID,..., or task names with commas"
    )
    seed: int = Field(1, ge=0, description="root of every random stream and of the goals")
    steps: int | None = Field(
        None, ge=1, description="environment steps over all tasks; null: the suite's budget"
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where the learner computes")
    serial: bool = Field(False, description="one process without Ray, in lock-step")
    address: str = Field("auto", description="Ray cluster: auto, local, or an address")
    environment: EnvironmentConfig = EnvironmentConfig()
    actors: ActorsConfig = ActorsConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    replay: ReplayConfig = ReplayConfig()
    sampling: SamplingConfig = SamplingConfig()
    network: NetworkConfig = NetworkConfig()
    sac: SacConfig = SacConfig()
    learner: LearnerConfig = LearnerConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()

    def resolved(self) -> Self:
        """The same configuration with every null that depends on the suite filled in, checked as a whole.

        Raises:
            ValueError: one line with the rule that is broken, the value and the remedy.
        """
        suite = self.load_suite()
        num_tasks = len(suite.tasks)
        self.network.check_tasks(num_tasks)
        steps = self.steps or suite.standard_steps
        every = {
            "checkpoint": self.checkpoint.every_env_steps
            or min(math.ceil(steps / 5), LARGEST_CHECKPOINT_PERIOD_STEPS),
            "evaluation": self.evaluation.every_env_steps or math.ceil(steps / EVALUATIONS_A_RUN),
        }
        config = self.model_copy(
            update={
                "suite": suite.name,
                "steps": steps,
                "actors": self.actors.model_copy(update={"num_actors": self._actors(num_tasks)}),
                "replay": self.replay.model_copy(
                    update={
                        "num_shards": self.replay.shards_for(num_tasks),
                        "warmup_steps_per_task": self._warmup(math.ceil(steps / num_tasks)),
                    }
                ),
                "checkpoint": self.checkpoint.model_copy(update={"every_env_steps": every["checkpoint"]}),
                "evaluation": self.evaluation.model_copy(update={"every_env_steps": every["evaluation"]}),
            }
        )
        config.replay_plan()
        return config

    def _warmup(self, steps_per_task: int) -> int:
        warmup = self.replay.warmup_steps_per_task
        return warmup if steps_per_task > warmup else max(1, steps_per_task // SHORTEST_WARMUP_SHARE)

    def _actors(self, num_tasks: int) -> int:
        return 1 if self.serial else self.actors.num_actors or num_tasks

    def load_suite(self) -> Suite:
        return parse_suite(self.suite, self.environment.horizon)

    @property
    def total_steps(self) -> int:
        """The step budget of a resolved configuration."""
        assert self.steps is not None, "resolve the configuration first"
        return self.steps

    @property
    def num_actors(self) -> int:
        """The actors of a resolved configuration."""
        assert self.actors.num_actors is not None, "resolve the configuration first"
        return self.actors.num_actors

    @property
    def total_updates(self) -> int:
        """Updates of the whole run: one for every T environment steps after the warm-up, at the standard ratio."""
        plan = self.replay_plan()
        drawn = plan.samples_per_insert * (self.total_steps - plan.warmup_steps * plan.num_tasks)
        return max(0, math.floor(drawn / plan.batch_size))

    def replay_plan(self) -> ReplayPlan:
        """The sizes that the replay service's parts agree on."""
        suite = self.load_suite()
        return ReplayPlan(
            spec=TransitionSpec(len(suite.tasks), suite.obs_dim, suite.action_dim, suite.action_dims),
            replay=self.replay,
            sampling=self.sampling,
            total_steps=self.total_steps,
            chunk_steps=self.actors.chunk_steps,
            batches_per_call=self.learner.batches_per_call,
            seed=self.seed,
        )

    def updates_between(self, env_steps: int) -> int:
        """Learner updates that fall into a period of environment steps, at least one."""
        plan = self.replay_plan()
        return max(1, round(plan.samples_per_insert * env_steps / plan.batch_size))

    def plan_lines(self) -> list[str]:
        """What will run, for a person; one line a part."""
        plan = self.replay_plan()
        suite = self.load_suite()
        return [
            f"suite {suite.name}: {plan.num_tasks} tasks, {self.total_steps:,} environment steps, "
            f"{self.total_updates:,} updates of {plan.batch_size} transitions",
            f"{self.num_actors} actors, {plan.num_shards} replay shards ({self.replay.storage}), "
            f"{plan.warmup_steps:,} warm-up steps a task, device {self.device}, seed {self.seed}",
            self._parameter_line(),
        ]

    def _parameter_line(self) -> str:
        count = count_parameters(self.network, self.replay_plan().spec)
        matched = self.network.match_parameters
        return (
            f"{count.total:,} parameters: actor {count.actor:,}, critics {count.critics:,}"
            f"{f', matched to {matched}' if matched else ''}"
        )
