"""Frequencies of draws and weighted means, against what they must be on average."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.stats import chi2

from replay_service.plan import ReplayPlan

MakePlan = Callable[..., ReplayPlan]
MakeService = Callable[[ReplayPlan], Any]
UNLIMITED = {"error_buffer": 1e12}


def test_frequencies_over_tasks_and_shards_of_very_different_sizes_and_masses(
    make_plan: MakePlan, make_service: MakeService
) -> None:
    """Chi-squared over all rows of four tasks on two shards against quota * P; wrong once in a million."""
    sizes = [8, 30, 200, 1000]
    replay = {"capacity_per_task": 1000, "num_shards": 2} | UNLIMITED
    plan = make_plan(4, replay, {"batch_size_per_task": 500}, batches_per_call=50)
    service = make_service(plan)
    service.fill(sizes, successes=[1, 0, 1, 0])
    rng, expected = np.random.default_rng(0), []
    share = np.array([0.5, 1.5, 0.5, 1.5]) / 4  # solved tasks are held at half of the uniform share
    for task, size in enumerate(sizes):
        shard = service.shards[task % 2]
        first_key = int(shard._content.tables._counter["first_key"][task // 2])
        priority = 10.0 ** rng.uniform(-2, task, size)
        shard.update_priorities(np.full(size, task, np.int32), first_key + np.arange(size), priority)
        mass = (priority + 1e-6) ** 0.6
        expected.append(100 * share[task] * 2000 * mass / mass.sum())
    count = [np.zeros(size) for size in sizes]
    for batch in service.sample(50) + service.sample(50):
        assert batch.group_sizes.tolist() == [250, 750, 250, 750]
        serial = np.rint(batch.transitions.obs[:, 0]).astype(int)
        for task in range(4):
            np.add.at(count[task], serial[batch.transitions.task_id == task], 1)
    statistic = freedom = 0
    for seen, wanted in zip(count, expected, strict=True):
        frequent = wanted >= 5  # the rare rows of a task together make one class
        observed = np.append(seen[frequent], seen[~frequent].sum())
        awaited = np.append(wanted[frequent], wanted[~frequent].sum())
        observed, awaited = observed[awaited > 0], awaited[awaited > 0]
        statistic += ((observed - awaited) ** 2 / awaited).sum()
        freedom += len(awaited) - 1
    assert chi2.ppf(1e-6, freedom) < statistic < chi2.ppf(1 - 1e-6, freedom)


def test_at_exponent_one_weighted_means_are_uniform_means(
    make_plan: MakePlan, make_service: MakeService
) -> None:
    """Any function of a task's rows, weighted, has its uniform mean, within five standard errors."""
    sizes = [50, 400]
    replay = {"capacity_per_task": 400} | UNLIMITED
    plan = make_plan(2, replay, {"batch_size_per_task": 500}, batches_per_call=100)
    service = make_service(plan)
    service.fill(sizes)
    rng, functions = np.random.default_rng(1), []
    for task, size in enumerate(sizes):
        first_key = int(service.shards[0]._content.tables._counter["first_key"][task])
        priority = rng.uniform(0.05, 5, size) * 10**task
        service.shards[0].update_priorities(
            np.full(size, task, np.int32), first_key + np.arange(size), priority
        )
        functions.append(np.stack([priority, rng.normal(size=size), (priority > 1).astype(float)]))
    batches = service.sample(100, exponent=1.0)
    for task in range(2):
        weight = np.concatenate([b.is_weight[b.transitions.task_id == task] for b in batches]).astype(float)
        scale = np.repeat(
            [(1 / (b.info.probability * np.array(sizes)[b.transitions.task_id])).mean() for b in batches], 500
        )
        serial = np.concatenate(
            [b.transitions.obs[b.transitions.task_id == task, 0] for b in batches]
        ).astype(int)
        for function in functions[task]:
            sample = weight * scale * function[serial]  # undo the batch's mean: E[(N P)^-1 f] = mean of f
            error = sample.std() / math.sqrt(len(sample))
            assert abs(sample.mean() - function.mean()) < 5 * error
        unweighted = functions[task][0][serial]
        assert abs(unweighted.mean() - functions[task][0].mean()) > 5 * unweighted.std() / math.sqrt(
            len(serial)
        )
