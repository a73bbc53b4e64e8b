"""What every metric means: its unit and what is healthy, as TensorBoard shows it beside a chart."""

from __future__ import annotations

from collections.abc import Mapping

DESCRIPTIONS: Mapping[str, str] = {
    # One screen: the newest of what counts most.
    "overview/eval_success": "success in evaluations, mean of the tasks, 0 to 1; this is the result",
    "overview/eval_success_low": "lower end of the 95 % interval of that mean, over the episodes",
    "overview/eval_success_high": "upper end of the 95 % interval of that mean, over the episodes",
    "overview/eval_success_worst_5": "success in evaluations, mean of the five worst tasks; should follow the mean",
    "overview/eval_success_std": "standard deviation of success across tasks; 0.5 is half solved and half hopeless",
    "overview/eval_return": "return in evaluations, mean of the tasks",
    "overview/success": "success in the newest training episodes, whose actions are noisy, mean of the tasks",
    "overview/success_worst_5": "the same of the five worst tasks",
    "overview/success_std": "standard deviation of the same across tasks",
    "overview/tasks_at_zero": "tasks without a success in their newest training episodes; should fall",
    "overview/return": "return of the newest training episodes, mean of the tasks",
    "overview/quota_least": "least share of a batch that a task has; 1/T is even",
    "overview/quota_most": "greatest share of a batch that a task has; 1/T is even",
    "overview/critic_loss": "loss of the critics; a steady rise is divergence",
    "overview/actor_loss": "loss of the actor; falls as values rise",
    "overview/entropy": "entropy of the policy in nats; should approach its target from above",
    "overview/alpha": "temperature, geometric mean of the tasks; falls as tasks are solved",
    # Evaluations.
    "eval/mean_success": "success, mean of the tasks, mode action, 0 to 1",
    "eval/mean_return": "return, mean of the tasks",
    "eval/std_across_tasks": "standard deviation of the tasks' success",
    "eval/worst_5_mean": "success, mean of the five worst tasks",
    "eval/tasks_at_zero": "tasks without any success",
    "eval/failed_episodes": "episodes that raised, gave NaN or hung, and count as no success; should be 0",
    "eval/success/": "success of the task, 0 to 1",
    "eval/return/": "mean return of the task",
    # Rollouts.
    "rollout/success/": "success of the task's newest training episodes, 0 to 1",
    "rollout/return/": "mean return of the task's newest training episodes",
    # Health.
    "health/success_std": "standard deviation of success across tasks in training",
    "health/success_worst_5": "success in training, mean of the five worst tasks",
    "health/tasks_at_zero": "tasks without a success in their newest training episodes",
    "health/starved_tasks": "tasks that fail and have the least rows of a batch; should be 0",
    # Sampling and replay.
    "sampling/quota/": "rows of the task in the newest batch",
    "replay/size": "transitions held",
    "replay/inserted": "transitions ever stored",
    "replay/sampled": "rows ever drawn",
    "replay/priority_mass": "sum of the priorities",
    "replay/sampled_age": "transitions stored since the drawn ones, mean of the newest draw",
    "replay/size/": "transitions of the task held",
    "replay/inserted/": "transitions of the task ever stored; all tasks should keep level",
    "replay/sampled/": "rows of the task ever drawn",
    "replay/priority_mass/": "sum of the task's priorities",
    "replay/sampled_age/": "transitions of the task stored since the drawn ones, mean of the newest draw",
    "replay/stale_updates": "priorities that came after their transition was overwritten; few is usual",
    "replay/duplicate_chunks": "chunks that were sent again and recognised",
    "replay/lost_updates": "calls with priorities that found a shard down; 0 but for restarts",
    "replay/limiter_cursor": "rows that may still be drawn at the configured ratio",
    "replay/limiter_error_buffer": "rows by which the ratio may be off, either way",
    "replay/limiter_inserts_left": "transitions that may be stored before actors must wait",
    "replay/effective_sample_size": "share of a batch that its importance weights let count; near 1",
    # Speed.
    "perf/env_steps_per_s": "environment steps per second, all tasks, over the newest minute",
    "perf/updates_per_s": "updates per second, over the learner's report",
    "perf/learner_wait_frac": "share of the learner's time spent waiting for batches; near 0 on a busy GPU",
    "perf/samples_per_insert": "rows learned from per transition stored; should meet the configured ratio",
    "perf/actors_alive": "actors that are there",
    "perf/memory_gib": "memory of the run's processes on this machine, GiB; should level off",
    "perf/policy_lag_mean": "learner steps that the acting policy is behind, mean of the newest chunks",
    "perf/policy_lag_max": "the same, greatest",
    "perf/actor/environment": "share of the actors' time in environments",
    "perf/actor/policy": "share of the actors' time in the policy",
    "perf/actor/sending": "share of the actors' time spent sending",
    "perf/actor/waiting": "share of the actors' time spent waiting for the limiter or for weights",
    "perf/restarts/": "processes of this kind that were started again; should stay",
    # The learner.
    "train/critic_loss": "loss of the critics",
    "train/critic_loss/": "loss of the critics on the task's rows; a task far above the others drowns them",
    "train/actor_loss": "loss of the actor",
    "train/triplet_loss": "contrastive loss of the unique features, weighted",
    "train/contrastive_active": "share of the triplets that do not keep the margin; falls as tasks are told apart",
    "train/critic_grad_norm": "norm of the critics' gradient before clipping",
    "train/actor_grad_norm": "norm of the actor's gradient before clipping",
    "train/q_mean": "values of the critics, mean",
    "train/q_max": "values of the critics, greatest; above the largest possible return is divergence",
    "train/entropy": "entropy of the policy in nats",
    "train/learning_rate": "step size",
    "train/alpha/": "temperature of the task",
    "train/td_abs/": "mean absolute TD error of the task's rows",
    "train/extreme_masked/": "updates that left the task out for an extreme loss, so far",
    "train/extreme_updates/": "updates in which the task had an extreme loss, so far",
    "train/extreme_resets": "resets of the extreme-loss rule, so far",
    "train/unique_effective_rank": "directions that the unique features use, 1 to F; near 1 is a collapse",
    "train/unique_rank_within_task": "the same within a task, mean of the tasks",
    "train/unique_task_variance": "variance of the tasks' mean features, 0 to 1; near 0: tasks are not told apart",
    "train/unique_within_share": "share of the features' variance within tasks; near 0: a mere code of the task",
    "train/unique_gradient_share": "share of the unique branch in the norm of the actor's gradient; near 0: unused",
    "train/pool_effective_rank": "slices that the pool uses, 1 to K; near 1 is a collapse",
    "train/pool_second_singular": "second singular value of the pool over the first; near 0 is a collapse",
    "train/task_matrix_distance": "distance of two tasks' matrices, mean of the pairs; 0: all tasks are one",
    # Beyond numbers.
    "overview/success_of_tasks": "success of every task over the run, in rollouts; rows are tasks, 0 is dark, 1 bright",
    "overview/quotas_of_tasks": "share of every task in a batch over the run, times T: 1 is even, in the middle",
    "overview/features": "shared and unique features of stored states, projected onto their two main directions, "
    "a colour per task; unique ones should lie apart",
    "overview/temperatures": "temperatures of all tasks",
    "overview/priorities": "absolute TD errors of the newest batch, the priorities before their exponent",
    "run/configuration": "the resolved configuration",
    "run/command": "what started this run, from which commit, with which versions",
}


def describe(name: str) -> str:
    """Return what a metric means; empty for one that is not known."""
    if name in DESCRIPTIONS:
        return DESCRIPTIONS[name]
    group = "/".join(name.split("/")[:2])
    return DESCRIPTIONS.get(f"{group}/", "")
