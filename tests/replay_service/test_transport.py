"""Calls in this process and through Ray."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from replay_service.plan import ReplayPlan
from replay_service.sampler import ReplaySampler
from replay_service.shard import Shard
from replay_service.transport import LocalTransport, RayTransport, ShardUnavailable, ray_shard_class
from replay_service.types import TransitionBatch
from replay_service.writer import ReplayWriter

MakePlan = Callable[..., ReplayPlan]
MakeTransitions = Callable[..., TransitionBatch]


def test_a_local_call_raises_what_the_shard_raised(make_plan: MakePlan) -> None:
    transport = LocalTransport([Shard(0, make_plan())])
    assert transport.submit(0, "stats").result(0.0).capacity == 32
    call = transport.submit(0, "sample", np.array([[1, 1]]), 0, 10)
    assert call.done()
    with pytest.raises(LookupError, match="none for tasks"):
        call.result(0.0)


def test_the_service_in_one_process_does_not_import_ray() -> None:
    code = "import replay_service.sampler, replay_service.writer, sys; sys.exit('ray' in sys.modules)"
    root = str(Path(__file__).parents[2])
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield ray
    ray.shutdown()


def start(ray: Any, plan: ReplayPlan, directory: Path, max_restarts: int = -1) -> list[Any]:
    shard_class = ray_shard_class(max_waiting_inserts=4)
    options = {"max_restarts": max_restarts, "num_cpus": 0}
    return [
        shard_class.options(**options).remote(index, plan, str(directory)) for index in range(plan.num_shards)
    ]


def process_of(ray: Any, shard: Any, patience_s: float = 60.0) -> int:
    """The shard's process id. One that is about to come back after a kill is asked again until it answers."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return ray.get(shard.__ray_call__.remote(lambda _: os.getpid()), timeout=patience_s)
        except ray.exceptions.ActorUnavailableError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


@pytest.mark.cluster
def test_waiting_inserts_do_not_stand_in_the_way_of_the_sampler(
    cluster: Any, tmp_path: Path, make_plan: MakePlan, make_transitions: MakeTransitions
) -> None:
    """An insert waits in each thread and as many behind them; sampling goes on and frees them."""
    replay = {"max_unacknowledged_chunks": 8, "insert_timeout_s": 60.0}
    plan = make_plan(1, replay, batches_per_call=4)  # error buffer 32, spi 4: 8 inserts past the warm-up
    handles = start(cluster, plan, tmp_path)
    transport = RayTransport(handles)
    writer = ReplayWriter(plan, transport, 0, 0, [0])
    sent = 0
    deadline = time.monotonic() + 60
    while writer.unacknowledged < 8 and time.monotonic() < deadline:
        writer.write(make_transitions(0, 4, 4 * sent), (), 0)
        sent += 1
    sampler = ReplaySampler(plan, transport)
    drawn = 0
    while writer.unacknowledged and time.monotonic() < deadline:
        batches = sampler.sample(4, drawn, 0.4, 30.0)
        drawn += len(batches)
        assert not batches[0].transitions.obs.flags.writeable  # as the docstring warns
        sampler.update_priorities(batches, [np.ones(4)] * 4)
        writer.ready_tasks()
    assert writer.unacknowledged == 0
    sampler.refresh(drawn)
    assert sampler.env_steps == 4 * sent
    for handle in handles:
        cluster.kill(handle)


@pytest.mark.cluster
@pytest.mark.chaos
def test_killed_shards_come_back_with_everything_and_the_clients_go_on(
    cluster: Any, tmp_path: Path, make_plan: MakePlan, make_transitions: MakeTransitions
) -> None:
    replay = {"storage": "mapped", "num_shards": 2, "capacity_per_task": 2000, "error_buffer": 1e6}
    plan = make_plan(2, replay, total_steps=2 * 400)
    handles = start(cluster, plan, tmp_path)
    transport = RayTransport(handles)
    writer = ReplayWriter(plan, transport, 0, 0, [0, 1])
    sampler = ReplaySampler(plan, transport)
    written = [0, 0]
    kills = 0
    while not writer.closed:
        for task in writer.ready_tasks(30.0):
            writer.write(make_transitions(task, 4, written[task]), (), 0)
            written[task] += 4
        if written[0] % 100 == 40 and kills < 3:
            os.kill(process_of(cluster, handles[kills % 2]), signal.SIGKILL)
            kills += 1
        if written[0] > 40:
            batches = sampler.sample(2, 0, 0.4, 60.0)
            sampler.update_priorities(batches, [np.ones(8)] * 2)
    sampler.refresh(0)
    assert kills == 3
    assert sum(stats.incarnation for stats in sampler.stats) == 2 + kills
    assert [stats.inserted.tolist() for stats in sampler.stats] == [[400], [400]]
    for task in (0, 1):
        serial = np.load(tmp_path / f"shard-{task}" / "transitions.npy", mmap_mode="r")["obs"][0, :400, 0]
        # one of the last two chunks, which were in flight together, may have been the one that used up the budget
        assert len(np.unique(serial)) == 400 and set(range(396)) <= set(serial.tolist())


@pytest.mark.cluster
def test_a_shard_that_does_not_come_back_is_unavailable(
    cluster: Any, tmp_path: Path, make_plan: MakePlan
) -> None:
    handles = start(cluster, make_plan(), tmp_path, max_restarts=0)
    transport = RayTransport(handles)
    assert transport.submit(0, "stats").result(30.0).incarnation == 1
    cluster.kill(handles[0])
    deadline = time.monotonic() + 60
    with pytest.raises(ShardUnavailable):
        while time.monotonic() < deadline:  # kill returns before the process is gone
            transport.submit(0, "stats").result(30.0)


@pytest.mark.cluster
def test_errors_of_a_shard_keep_their_class_and_slow_answers_time_out(
    cluster: Any, tmp_path: Path, make_plan: MakePlan, make_transitions: MakeTransitions
) -> None:
    plan = make_plan()
    handles = start(cluster, plan, tmp_path)
    transport = RayTransport(handles)
    writer = ReplayWriter(plan, transport, 3, 0, [0])
    bad = make_transitions(0, 4)
    bad.reward[0] = np.nan
    with pytest.raises(ValueError, match="actor 3, task 0: reward must be finite"):
        writer.write(bad, (), 0)
        writer.flush(30.0)
    with pytest.raises(LookupError, match="none for tasks"):
        transport.submit(0, "sample", np.array([[1, 1]]), 0, 10).result(30.0)
    with pytest.raises(TimeoutError, match="shard 0 did not answer within"):
        transport.submit(0, "stats").result(0.0)
    cluster.kill(handles[0])
