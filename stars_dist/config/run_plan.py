"""The plan of a run: its resolved configuration and all that follows from it, derived once and handed on."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Self

from actors.suites import parse_suite
from actors.tasks import Suite
from learner.parameter_count import count_parameters
from replay_service.plan import ReplayPlan
from replay_service.types import TransitionSpec
from stars_dist.config.count_words import counted
from stars_dist.config.plan_checks import check_contrast, check_learners, check_rows
from stars_dist.config.run_config import RunConfig

EVALUATIONS_PER_RUN = 5
SHORTEST_WARMUP_SHARE = 4  # a run shorter than its warm-up warms up for a quarter of its steps


@dataclass(frozen=True)
class RunPlan:
    """What every part of a run reads. Make it with `plan_run`.

    The clocks are in their own units: `*_steps` are environment steps over all tasks, `*_updates` learner steps.
    """

    config: RunConfig  # every null that depends on the suite is filled in
    suite: Suite
    replay: ReplayPlan

    @property
    def num_tasks(self) -> int:
        """T."""
        return len(self.suite.tasks)

    @property
    def num_actors(self) -> int:
        """Rollout actors; one in a serial run."""
        assert self.config.actors.num_actors is not None, "the configuration of a plan is resolved"
        return self.config.actors.num_actors

    @property
    def num_learners(self) -> int:
        """Learner processes, which make every update together."""
        return self.config.learner.num_learners

    @property
    def total_steps(self) -> int:
        """The run's budget of environment steps."""
        return self.replay.total_steps

    @property
    def total_updates(self) -> int:
        """The run's budget of updates: at the standard ratio one for every T steps after the warm-up."""
        return math.floor(self.replay.updates_due(self.total_steps))

    def updates_due(self, env_steps: int) -> int:
        """Count the updates that so many steps call for; steps beyond the budget, of a last chunk, call for none."""
        return min(math.floor(self.replay.updates_due(env_steps)), self.total_updates)

    @property
    def evaluation_every_steps(self) -> int:
        """The period of evaluations during the run."""
        assert self.config.evaluation.every_env_steps is not None, "the configuration of a plan is resolved"
        return self.config.evaluation.every_env_steps

    def override(self, **sections: Any) -> Self:
        """Replace sections of the configuration on which neither suite nor replay depends."""
        return replace(self, config=self.config.model_copy(update=sections))

    def lines(self) -> list[str]:
        """Describe what will run for a person, one line per part."""
        config, plan = self.config, self.replay
        count = count_parameters(config.network, plan.spec)
        matched, learners = config.network.match_parameters, self.num_learners
        n_step, most = config.sampling.n_step, self._most_steps_of_a_row
        return [
            f"suite {self.suite.name}: {counted(self.num_tasks, 'task')}, {self.total_steps:,} environment steps, "
            f"{self.total_updates:,} updates of {plan.batch_size} transitions",
            f"{counted(self.num_actors, 'actor')}, {counted(plan.num_shards, 'replay shard')} ({plan.replay.storage}), "
            f"{plan.warmup_steps:,} warm-up steps per task, device {config.device}, seed {config.seed}"
            f"{f', {learners} learners' if learners > 1 else ''}",
            f"{count.total:,} parameters: actor {count.actor:,}, critics {count.critics:,}"
            f"{f', matched to {matched}' if matched else ''}",
            *["one task: its unique features have no contrastive loss, there is no other task"]
            * self._is_alone,
            *[
                f"rows sum up {most} of sampling.n_step {n_step} steps at most, what one environment puts into a "
                "chunk; raise actors.chunk_steps or lower actors.envs_per_actor"
            ]
            * (n_step > most),
        ]

    @property
    def _most_steps_of_a_row(self) -> int:
        actors, tasks_of_actor = self.config.actors, math.ceil(self.num_tasks / self.num_actors)
        return math.ceil(actors.chunk_steps / actors.envs_per_task(tasks_of_actor))

    @property
    def _is_alone(self) -> bool:
        return self.num_tasks == 1 and self.config.network.unique.enabled


def plan_run(config: RunConfig) -> RunPlan:
    """Fill in every null that depends on the suite and check the configuration as a whole.

    Raises:
        ValueError: one line with the rule that is broken, the value and the remedy.
    """
    suite = parse_suite(config.suite, config.environment.horizon)
    config = _without_other_tasks(config) if len(suite.tasks) == 1 else config
    config.network.check_tasks(len(suite.tasks))
    check_contrast(config)
    check_rows(config, suite)
    check_learners(config, config.sampling.batch_size_per_task * len(suite.tasks))
    config = _resolved(config, suite)
    assert config.steps is not None, "just resolved"
    spec = TransitionSpec(len(suite.tasks), suite.obs_dim, suite.action_dim, suite.action_dims)
    replay = ReplayPlan(
        spec=spec,
        replay=config.replay,
        sampling=config.sampling,
        total_steps=config.steps,
        chunk_steps=config.actors.chunk_steps,
        batches_per_call=config.learner.batches_per_call,
        seed=config.seed,
        gamma=config.sac.gamma,
    )
    return RunPlan(config, suite, replay)


def plan_resumed(before: RunPlan, steps: int | None, shards: int | None, address: str | None) -> RunPlan:
    """Plan a run anew with another total of steps, number of shards or Ray cluster; None: as before.

    Raises:
        ValueError: as `plan_run`.
    """
    config = before.config
    replay = config.replay.model_copy(update={"num_shards": shards or config.replay.num_shards})
    update = {"steps": steps or config.steps, "address": address or config.address, "replay": replay}
    return plan_run(config.model_copy(update=update))


def _without_other_tasks(config: RunConfig) -> RunConfig:
    """Turn off what tells a task from others, where there is one."""
    unique = config.network.unique.model_copy(update={"triplet_weight": 0.0})
    return config.model_copy(update={"network": config.network.model_copy(update={"unique": unique})})


def _resolved(config: RunConfig, suite: Suite) -> RunConfig:
    num_tasks = len(suite.tasks)
    steps = config.steps or suite.standard_steps
    evaluation_every = config.evaluation.every_env_steps or math.ceil(steps / EVALUATIONS_PER_RUN)
    num_actors = 1 if config.serial else config.actors.num_actors or num_tasks
    warmup = _warmup(config.replay.warmup_steps_per_task, math.ceil(steps / num_tasks))
    replay = {"num_shards": config.replay.shards_for(num_tasks), "warmup_steps_per_task": warmup}
    return config.model_copy(
        update={
            "suite": suite.name,
            "steps": steps,
            "actors": config.actors.model_copy(update={"num_actors": num_actors}),
            "replay": config.replay.model_copy(update=replay),
            "evaluation": config.evaluation.model_copy(update={"every_env_steps": evaluation_every}),
        }
    )


def _warmup(warmup: int, steps_per_task: int) -> int:
    return warmup if steps_per_task > warmup else max(1, steps_per_task // SHORTEST_WARMUP_SHARE)
