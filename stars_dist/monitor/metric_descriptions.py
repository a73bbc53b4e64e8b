"""What every metric means: its unit and what is healthy, as TensorBoard shows it beside a chart.

docs/metrics.md is written from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Meaning(NamedTuple):
    """What a metric says."""

    what: str
    unit: str = ""
    healthy: str = ""

    def __str__(self) -> str:
        unit = f" ({self.unit})" if self.unit else ""
        return f"{self.what}{unit}{f'; {self.healthy}' if self.healthy else ''}"


SHARE = "0 to 1"
DESCRIPTIONS: Mapping[str, Meaning] = {
    # One screen: the newest of what counts most.
    "overview/eval_success": Meaning(
        "success in evaluations, mean of the tasks: this is the result", SHARE, "should rise"
    ),
    "overview/eval_success_low": Meaning(
        "lower end of the 95 % interval of that mean, over the episodes", SHARE
    ),
    "overview/eval_success_high": Meaning(
        "upper end of the 95 % interval of that mean, over the episodes", SHARE
    ),
    "overview/eval_success_worst_5": Meaning(
        "success in evaluations, mean of the five worst tasks", SHARE, "should follow the mean"
    ),
    "overview/eval_success_std": Meaning(
        "standard deviation of success across tasks", "0 to 0.5", "0.5 is half solved and half hopeless"
    ),
    "overview/eval_return": Meaning("return in evaluations, mean of the tasks", "reward"),
    "overview/success": Meaning(
        "success in the newest training episodes, whose actions are noisy, mean of the tasks", SHARE
    ),
    "overview/success_worst_5": Meaning("the same of the five worst tasks", SHARE),
    "overview/success_std": Meaning("standard deviation of the same across tasks", "0 to 0.5"),
    "overview/tasks_at_zero": Meaning(
        "tasks without a success in their newest training episodes", "tasks", "should fall"
    ),
    "overview/return": Meaning("return of the newest training episodes, mean of the tasks", "reward"),
    "overview/quota_least": Meaning("least share of a batch that a task has", SHARE, "1/T is even"),
    "overview/quota_most": Meaning("greatest share of a batch that a task has", SHARE, "1/T is even"),
    "overview/critic_loss": Meaning("loss of the critics", "", "a steady rise is divergence"),
    "overview/actor_loss": Meaning("loss of the actor", "", "falls as values rise"),
    "overview/entropy": Meaning("entropy of the policy", "nats", "should come to its target and stay there"),
    "overview/alpha": Meaning(
        "temperature, geometric mean of the tasks", "reward per nat", "falls as tasks are solved"
    ),
    # Evaluations.
    "eval/mean_success": Meaning("success, mean of the tasks, mode action", SHARE, "should rise"),
    "eval/mean_return": Meaning("return, mean of the tasks", "reward"),
    "eval/std_across_tasks": Meaning(
        "standard deviation of the tasks' success", "0 to 0.5", "falls as the worst tasks catch up"
    ),
    "eval/worst_5_mean": Meaning("success, mean of the five worst tasks", SHARE, "should follow the mean"),
    "eval/tasks_at_zero": Meaning("tasks without any success", "tasks", "should fall to 0"),
    "eval/failed_episodes": Meaning(
        "episodes that raised, gave NaN or hung, and count as no success", "episodes", "should be 0"
    ),
    "eval/success/": Meaning("success of the task", SHARE, "0.8 or more counts as solved"),
    "eval/return/": Meaning("mean return of the task", "reward"),
    # Rollouts.
    "rollout/success/": Meaning("success of the task's newest training episodes", SHARE),
    "rollout/return/": Meaning("mean return of the task's newest training episodes", "reward"),
    # Health.
    "health/success_std": Meaning(
        "standard deviation of success across tasks in training", "0 to 0.5", "a warning from 0.35 on"
    ),
    "health/success_worst_5": Meaning("success in training, mean of the five worst tasks", SHARE),
    "health/tasks_at_zero": Meaning(
        "tasks without a success in their newest training episodes", "tasks", "should fall to 0"
    ),
    "health/starved_tasks": Meaning(
        "tasks that fail and have the least rows of a batch", "tasks", "should be 0"
    ),
    # Sampling and replay.
    "sampling/quota/": Meaning(
        "rows of the task in the newest batch", "rows", "0.5 to 2 times an even share"
    ),
    "replay/size": Meaning("transitions held", "transitions"),
    "replay/inserted": Meaning("transitions ever stored", "transitions", "rises steadily"),
    "replay/sampled": Meaning("rows ever drawn", "rows", "rises steadily"),
    "replay/priority_mass": Meaning("sum of (p + epsilon)^alpha over all transitions"),
    "replay/sampled_age": Meaning(
        "transitions stored since the drawn ones, mean of the newest draw", "transitions"
    ),
    "replay/size/": Meaning("transitions of the task held", "transitions"),
    "replay/inserted/": Meaning("transitions of the task ever stored", "transitions", "all tasks keep level"),
    "replay/sampled/": Meaning("rows of the task ever drawn", "rows"),
    "replay/priority_mass/": Meaning("sum of the task's (p + epsilon)^alpha"),
    "replay/sampled_age/": Meaning(
        "transitions of the task stored since the drawn ones, mean of the newest draw", "transitions"
    ),
    "replay/stale_updates": Meaning(
        "priorities that came after their transition was overwritten", "priorities", "few is usual"
    ),
    "replay/duplicate_chunks": Meaning(
        "chunks that were sent again and recognised", "chunks", "0 but for restarts"
    ),
    "replay/lost_updates": Meaning(
        "calls with priorities that found a shard down", "calls", "0 but for restarts"
    ),
    "replay/limiter_cursor": Meaning("rows that may still be drawn at the configured ratio", "rows"),
    "replay/limiter_error_buffer": Meaning("rows by which the ratio may be off, either way", "rows"),
    "replay/limiter_inserts_left": Meaning(
        "transitions that may be stored before actors must wait", "transitions"
    ),
    "replay/effective_sample_size": Meaning(
        "share of a batch that its importance weights let count", SHARE, "0.4 or more; falls as beta rises"
    ),
    # Speed.
    "perf/env_steps_per_s": Meaning(
        "environment steps, all tasks, over the newest minute", "1/s", "should be steady"
    ),
    "perf/updates_per_s": Meaning("updates, over the learner's report", "1/s", "should be steady"),
    "perf/learner_wait_frac": Meaning(
        "share of the learner's time spent waiting for batches", SHARE, "near 0 on a busy GPU"
    ),
    "perf/samples_per_insert": Meaning(
        "rows learned from per transition stored", "rows", "should meet the configured ratio"
    ),
    "perf/actors_alive": Meaning("actors that are there", "actors", "all of them, but for seconds"),
    "perf/memory_gib": Meaning(
        "memory of the run's processes on this machine; on a cluster that it joined of the launching program alone",
        "GiB",
        "should level off",
    ),
    "perf/busy_cores": Meaning(
        "cores that the run's processes kept busy since the last line, unless it has joined a cluster",
        "cores",
        "near the machine's cores; far below, something waits",
    ),
    "perf/policy_lag_mean": Meaning(
        "updates that the acting policy is behind, mean of the newest chunks",
        "learner steps",
        "far below actors.max_policy_lag",
    ),
    "perf/policy_lag_max": Meaning("the same, greatest", "learner steps", "below actors.max_policy_lag"),
    "perf/actor/environment": Meaning("share of the actors' time in environments", SHARE),
    "perf/actor/policy": Meaning("share of the actors' time in the policy", SHARE),
    "perf/actor/sending": Meaning("share of the actors' time spent sending", SHARE, "near 0"),
    "perf/actor/waiting": Meaning(
        "share of the actors' time spent waiting for the limiter or for weights",
        SHARE,
        "high where the learner sets the pace",
    ),
    "perf/restarts/": Meaning(
        "processes of this kind that were started again, so far", "restarts", "should stay"
    ),
    # The learner.
    "train/critic_loss": Meaning("loss of the critics", "", "a steady rise is divergence"),
    "train/critic_loss/": Meaning(
        "loss of the critics on the task's rows", "", "a task far above the others drowns them"
    ),
    "train/actor_loss": Meaning("loss of the actor", "", "falls as values rise"),
    "train/triplet_loss": Meaning(
        "contrastive loss of the unique features, weighted", "", "above 0, falling"
    ),
    "train/contrastive_active": Meaning(
        "share of the triplets that do not keep the margin", SHARE, "falls as tasks are told apart"
    ),
    "train/critic_grad_norm": Meaning(
        "norm of the critics' gradient before clipping", "", "should be steady"
    ),
    "train/actor_grad_norm": Meaning("norm of the actor's gradient before clipping", "", "should be steady"),
    "train/q_mean": Meaning("values of the critics, mean", "reward, discounted", "rises with the returns"),
    "train/q_max": Meaning(
        "values of the critics, greatest",
        "reward, discounted",
        "above the largest possible return is divergence",
    ),
    "train/entropy": Meaning("entropy of the policy", "nats", "should come to its target and stay there"),
    "train/entropy/": Meaning(
        "entropy of the policy on the task's rows",
        "nats",
        "far below its target for long: alpha rises too slowly, and the task is no longer explored",
    ),
    "train/learning_rate": Meaning("step size"),
    "train/alpha/": Meaning("temperature of the task", "reward per nat", "falls as the task is solved"),
    "train/td_abs/": Meaning(
        "mean absolute TD error of the task's rows", "reward, discounted", "falls or is steady"
    ),
    "train/extreme_masked/": Meaning(
        "updates that left the task out for an extreme loss, so far", "updates", "should stay"
    ),
    "train/extreme_updates/": Meaning(
        "updates in which the task had an extreme loss, so far", "updates", "should stay"
    ),
    "train/extreme_resets": Meaning("resets of the extreme-loss rule, so far", "resets", "should stay"),
    "train/unique_effective_rank": Meaning(
        "directions that the unique features use", "1 to F", "near 1 is a collapse"
    ),
    "train/unique_rank_within_task": Meaning("the same within a task, mean of the tasks", "1 to F"),
    "train/unique_task_variance": Meaning(
        "variance of the tasks' mean features, of two or more", SHARE, "near 0: tasks are not told apart"
    ),
    "train/unique_within_share": Meaning(
        "share of the features' variance within tasks", SHARE, "near 0: a mere code of the task"
    ),
    "train/unique_gradient_share": Meaning(
        "share of the unique branch in the norm of the actor's gradient", SHARE, "near 0: unused"
    ),
    "train/pool_effective_rank": Meaning("slices that the pool uses", "1 to K", "near 1 is a collapse"),
    "train/pool_second_singular": Meaning(
        "second singular value of the pool over the first", SHARE, "near 0 is a collapse"
    ),
    "train/task_matrix_distance": Meaning(
        "distance of two tasks' matrices, mean of the pairs", "of their length", "0: all tasks are one"
    ),
    # Beyond numbers.
    "overview/success_of_tasks": Meaning(
        "success of every task over the run, in rollouts: rows are tasks, 0 is dark, 1 bright", SHARE
    ),
    "overview/quotas_of_tasks": Meaning(
        "share of every task in a batch over the run, times T", "0 to 2", "1 is even, in the middle"
    ),
    "overview/features": Meaning(
        "shared and unique features of stored states, projected onto their two main directions, a colour per task",
        "",
        "unique ones should lie apart",
    ),
    "overview/temperatures": Meaning("temperatures of all tasks", "reward per nat"),
    "overview/priorities": Meaning(
        "absolute TD errors of the newest batch, the priorities before their exponent", "reward, discounted"
    ),
    "run/configuration": Meaning("the resolved configuration"),
    "run/command": Meaning("what started this run, from which commit, with which versions"),
}


def describe(name: str) -> str:
    """Return what a metric means; empty for one that is not known."""
    if name in DESCRIPTIONS:
        return str(DESCRIPTIONS[name])
    group = "/".join(name.split("/")[:2])
    return str(DESCRIPTIONS.get(f"{group}/", ""))
