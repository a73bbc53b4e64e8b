"""A distributed run from connecting to Ray to the final evaluation."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import ray

from actors.evaluation_result import EvaluationResult
from actors.goals import prepare_goals
from replay_service.transport import RayTransport
from stars_dist.commands.bad_input import reading_input
from stars_dist.config import RunConfig
from stars_dist.evaluation_schedule import EvaluationSchedule
from stars_dist.launch import Cluster, Placement, place
from stars_dist.monitor.console import Console
from stars_dist.monitor.run_monitor import RunMonitor
from stars_dist.ray_connection import connect
from stars_dist.resume_point import Begin, Start
from stars_dist.rollout_parts import GOALS_FILE
from stars_dist.run_directory import RunDirectory
from stars_dist.snapshot_schedule import SnapshotSchedule
from stars_dist.supervisor import Supervisor

INCARNATIONS_A_START = 10_000  # a resumed run's actors count on from here, so that shards know them for new


def train_distributed(
    run: RunDirectory,
    config: RunConfig,
    console: Console,
    begin: Begin,
    interrupted: threading.Event,
) -> EvaluationResult | None:
    """Trains to the step budget and evaluates; None if interrupted, with a checkpoint written.

    `begin` makes the run's first entries once the cluster is known to carry it.
    """
    with ThreadPoolExecutor(1) as beside:  # while Ray's processes start, of which this one only waits
        goals = beside.submit(prepare_goals, config.load_suite(), config.seed)
        console.phase(f"starting Ray ({config.address})")
        with reading_input():
            is_own_cluster = connect(config.address, config.num_actors)
        console.phase("computing the tasks' goals")
    try:
        goals.result()
        with reading_input():
            placement = place(config, ray.cluster_resources())
        where = "on this machine" if is_own_cluster else "on the running cluster"
        console.line(f"Ray runs {where} with {placement.cluster_cpus:g} cores")
        if placement.shares_cores:
            console.line(f"{config.num_actors} actors share {placement.cluster_cpus:g} cores")
        start = begin(console)
        try:
            return _train(run, config, console, start, placement, interrupted)
        finally:
            start.recorder.close()
    finally:
        ray.shutdown()


def _train(
    run: RunDirectory,
    config: RunConfig,
    console: Console,
    start: Start,
    placement: Placement,
    interrupted: threading.Event,
) -> EvaluationResult | None:
    prepare_goals(config.load_suite(), config.seed, run.path / GOALS_FILE)
    monitor = RunMonitor(config, start.recorder, console)
    starts = len(run.read_provenance()["resumes"])
    console.phase("starting actors, shards and learner")
    cluster = Cluster(config, run, placement)
    supervisor = Supervisor(config, run, cluster, monitor, starts * INCARNATIONS_A_START)
    schedule = EvaluationSchedule(config, run, cluster, monitor, start.env_steps)
    snapshots = SnapshotSchedule(config, run, RayTransport(cluster.shards), monitor, start.env_steps)
    is_complete = supervisor.run(interrupted, schedule, snapshots)
    console.phase("saving a checkpoint")
    schedule.cancel()
    snapshots.cancel()
    supervisor.stop()
    monitor.record()
    console.line(_summary(config, monitor))
    if not is_complete:
        return None
    result = schedule.evaluate_now(console, interrupted, max(1, int(placement.cluster_cpus)))
    if result is not None:
        monitor.hear_evaluation(result)
    return result


def _summary(config: RunConfig, monitor: RunMonitor) -> str:
    plan = config.replay_plan()
    after_warmup = max(monitor.env_steps - plan.warmup_steps * plan.num_tasks, 0)
    shares = ", ".join(f"{name} {share:.0%}" for name, share in monitor.actor_shares().items())
    return (
        f"{monitor.env_steps:,} environment steps, {monitor.learner_steps:,} updates "
        f"(expected {plan.samples_per_insert * after_warmup / plan.batch_size:,.0f}); "
        f"an actor's time: {shares}; peak memory {monitor.peak_memory_gib:.1f} GiB"
    )
