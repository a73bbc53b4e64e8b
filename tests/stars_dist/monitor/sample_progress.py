"""The progress of a run of ten tasks, as tests show it."""

from __future__ import annotations

from stars_dist.monitor.progress import Progress, TaskProgress

TASKS = tuple(TaskProgress(f"task-{i}-v3", i / 10, 100.0 * i, 64.0) for i in range(10))
PROGRESS = Progress(
    phase="training",
    env_steps=240_000,
    total_steps=800_000,
    learner_steps=45_000,
    total_updates=150_000,
    env_steps_per_s=41.2,
    updates_per_s=10.3,
    seconds_left=10_200.0,
    actors_alive=3,
    num_actors=4,
    actor_wait=0.85,
    learner_wait=0.02,
    samples_per_insert=63.9,
    planned_samples_per_insert=64.0,
    policy_lag=(12.0, 40.0),
    memory_gib=2.1,
    tasks=TASKS,
    evaluation="0.31 evaluated at 160,000 steps",
    checkpoint="checkpoint step-40000, 8 min ago",
    warning="task-0-v3 is starved: 32 rows of a batch, the floor, at success 0.00; raise it",
)
