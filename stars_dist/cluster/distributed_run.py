"""A distributed run from connecting to Ray to the final evaluation."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import closing
from threading import Thread

import ray

from actors.evaluation_result import EvaluationResult
from actors.suites import prepare_suite
from replay_service.transport import RayTransport
from stars_dist.build.device import check_device
from stars_dist.cluster.auth_token import open_cluster_warning
from stars_dist.cluster.cluster import Cluster
from stars_dist.cluster.connection import connect
from stars_dist.cluster.evaluation import PeriodicEvaluation, evaluate_at_end
from stars_dist.cluster.newest_weights import NewestWeights
from stars_dist.cluster.placement import Placement
from stars_dist.cluster.ray_processes import shut_down
from stars_dist.cluster.reservation import Reservation, reserve
from stars_dist.cluster.supervisor import Supervisor
from stars_dist.config.run_plan import RunPlan
from stars_dist.errors import checking_input
from stars_dist.interruption import Interruption, RunInterruptedError
from stars_dist.monitor.console import Console
from stars_dist.monitor.recorder import Recorder
from stars_dist.monitor.run_monitor import RunMonitor
from stars_dist.monitor.trackers import open_mirrors
from stars_dist.run_files.directory import RunDirectory
from stars_dist.run_files.replay_files import PeriodicSnapshots
from stars_dist.run_files.resume_point import Start

INCARNATIONS_PER_START = 10_000  # a resumed run's actors count on from here, so that shards know them for new
GOALS_POLL_S = 0.2


def train_distributed(
    run: RunDirectory,
    plan: RunPlan,
    console: Console,
    begin: Callable[[Console], Start],
    interruption: Interruption,
) -> EvaluationResult:
    """Train to the step budget and evaluate; RunInterruptedError after a signal, with a checkpoint written.

    `begin` makes the run's first entries once the cluster is known to carry it.
    """
    config = plan.config
    if interruption.is_set():  # while torch was loaded
        begin(console)
        raise RunInterruptedError
    goals = _beside(lambda: prepare_suite(plan.suite, config.seed))  # while Ray starts, which is waiting only
    console.phase(f"starting Ray ({config.address})")
    try:
        try:
            # What Ray has started when a signal comes ends with this program.
            with checking_input(), interruption.raising():
                is_own_cluster = connect(config.address, plan.num_actors)
        except RunInterruptedError:
            begin(console)
            raise
        if not is_own_cluster and (warning := open_cluster_warning()) is not None:
            console.line(warning)
        console.phase("computing the tasks' goals")
        _wait_for(goals, interruption)
        with checking_input():
            reservation = reserve(plan, is_own_cluster)
            check_device(plan, reservation.placement.learner_gpus > 0)
        _tell(plan, reservation.placement, is_own_cluster, console)
        start = begin(console)
        interruption.check()  # after the first entries, so that `resume` can go on
        mirrors = open_mirrors(run, config, console.line)
        with closing(Recorder(run, console.line, start.metrics_end, mirrors)) as recorder:
            goes_on_at = start.learner_steps, start.env_steps
            monitor = RunMonitor(plan, recorder, console, *goes_on_at, owns_processes=is_own_cluster)
            interruption.learner_steps = lambda: monitor.learner_steps
            return _train(run, plan, console, start, reservation, monitor, interruption)
    finally:
        shut_down()


def _tell(plan: RunPlan, placement: Placement, is_own_cluster: bool, console: Console) -> None:
    """Say what the run has to run on."""
    where = "on this machine" if is_own_cluster else "on the running cluster"
    console.line(f"Ray runs {where} with {placement.cluster_cpus:g} cores")
    if placement.shares_cores:
        console.line(f"{plan.num_actors} actors share {placement.cluster_cpus:g} cores")
    elif not is_own_cluster:
        console.line(
            f"on this node, beside the run directory, the learner and each shard have {placement.service_cpus:g} of a "
            "core reserved; each actor asks for a core"
        )
    if placement.memory_note:
        console.line(placement.memory_note)
    if (
        not placement.learner_gpus
        and plan.config.device == "auto"
        and ray.cluster_resources().get("GPU", 0.0)
    ):
        console.line(
            "the learner computes on the CPU: the cluster's GPUs are not on the node of this program"
        )


def _beside(compute: Callable[[], None]) -> Future[None]:
    """Compute in a thread that the end of the program does not wait for, as it would for one of an executor."""
    future: Future[None] = Future()

    def work() -> None:
        try:
            future.set_result(compute())
        except Exception as error:
            future.set_exception(error)

    Thread(target=work, daemon=True).start()
    return future


def _wait_for(goals: Future[None], interruption: Interruption) -> None:
    """Wait for what is computed beside, unless the run is to stop; raise what it raised."""
    while not interruption.is_set() and not goals.done():
        wait([goals], timeout=GOALS_POLL_S)
    if goals.done():
        goals.result()


def _train(
    run: RunDirectory,
    plan: RunPlan,
    console: Console,
    start: Start,
    reservation: Reservation,
    monitor: RunMonitor,
    interruption: Interruption,
) -> EvaluationResult:
    prepare_suite(plan.suite, plan.config.seed, run.goals_file)
    console.phase("starting actors, shards and learner")
    cluster = Cluster(run, plan, reservation)
    supervisor = Supervisor(run, plan, cluster, monitor, run.num_resumes * INCARNATIONS_PER_START)
    evaluations = PeriodicEvaluation(run, plan, NewestWeights(cluster.coordinator), monitor)
    transport = RayTransport(cluster.shards)
    snapshots = PeriodicSnapshots(run, plan, transport, start.env_steps, monitor.log)
    is_complete = supervisor.run(interruption, evaluations, snapshots)
    console.phase("saving a checkpoint")
    evaluations.cancel()
    snapshots.cancel()
    supervisor.stop()
    monitor.write_metrics()
    console.line(_summary(plan, monitor))
    if not is_complete:
        raise RunInterruptedError
    num_processes = max(1, int(ray.cluster_resources().get("CPU", 1.0)))
    result = evaluate_at_end(run, plan, monitor.env_steps, num_processes, console, interruption)
    if result is None:
        raise RunInterruptedError
    monitor.record_evaluation(result)
    return result


def _summary(plan: RunPlan, monitor: RunMonitor) -> str:
    return (
        f"{monitor.env_steps:,} environment steps, {monitor.learner_steps:,} updates "
        f"(expected {plan.updates_due(monitor.env_steps):,}); "
        f"{monitor.pace()}; peak memory {monitor.peak_memory_gib:.1f} GiB"
    )
