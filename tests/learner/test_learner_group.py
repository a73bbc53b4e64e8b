"""Several learners make the updates that one makes from the whole batch: losses, weights, statistics and guards."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch.multiprocessing.spawn import spawn

from learner.batch import TensorBatch
from learner.config import SacConfig, TaskRewardScaleConfig
from learner.finite_guard import NonFiniteLossError
from learner.learner_group import ALONE, LearnerGroup, find_store, join_group, open_store
from learner.sac import SacLearner
from learner.update_mode import EAGER, UpdateMode
from replay_service.types import TransitionSpec
from tests.learner.conftest import ACTION_DIM, OBS_DIM, method_config, random_batch

CPU = torch.device("cpu")
GROUP_SIZES = ((6, 10, 8), (8, 8, 8), (12, 3, 9))  # of the whole batch: twice that of each learner
SCALED = SacConfig(task_reward_scale=TaskRewardScaleConfig(enabled=True), actor_every=2)


class Case(NamedTuple):
    """What is trained."""

    method: str
    sac: SacConfig = SacConfig()
    mode: UpdateMode = EAGER
    updates: int = 20


CASES = {
    "stars": Case("stars", updates=100),
    "stars-static": Case("stars", mode=UpdateMode(16, 8)),
    "supcon": Case("supcon"),
    "mtmhsac-scaled": Case("mtmhsac", SCALED),
    "paco": Case("paco"),
}


class Trace(NamedTuple):
    """What is compared of a learner's updates."""

    losses: list[list[float]]
    state: dict


def whole_batch(update: int) -> TensorBatch:
    batch = random_batch(GROUP_SIZES[update % 3], seed=update)
    return batch._replace(is_weight=batch.is_weight / batch.is_weight.mean())


def share(batch: TensorBatch, group: LearnerGroup) -> TensorBatch:
    """Every row of a learner; the scale of its weights is of no consequence."""
    if group.is_alone:
        return batch
    columns = [column[group.rank :: group.size] for column in batch[:7]]
    sizes = tuple(torch.bincount(columns[5], minlength=3).tolist())
    columns[6] = 2.0 * columns[6]
    return TensorBatch(*columns, group_sizes=sizes, sampled=None)


def learner_of(case: Case, group: LearnerGroup) -> SacLearner:
    spec = TransitionSpec(3, OBS_DIM, ACTION_DIM)
    network = method_config(case.method)
    return SacLearner(network, case.sac, spec, ("a", "b", "c"), CPU, 0, case.mode, group)


def train(case: Case, group: LearnerGroup) -> Trace:
    learner, losses = learner_of(case, group), []
    for update in range(case.updates):
        result = learner.update(share(whole_batch(update), group))
        row = [result.critic.loss, result.critic.contrastive_loss, result.critic.gradient_norm, *result.alpha]
        row += [] if result.actor is None else [result.actor.loss, result.actor.contrastive_loss]
        losses.append([float(value) for value in row])
        assert result.metrics(learner.task_names), "metrics of a share can be told"
    return Trace(losses, copy.deepcopy(learner.state_dict()))


def worker(rank: int, size: int, port: int, directory: str) -> None:
    """Train every case in one process of a group, and find the same bad row."""
    torch.set_num_threads(1)
    group = join_group(find_store("127.0.0.1", port), rank, size, CPU)
    traces = {name: train(case, group) for name, case in CASES.items()}
    bad = share(whole_batch(0), group)
    if rank == 1:
        bad.reward[0] = float("nan")
    learner = learner_of(CASES["stars"], group)
    with pytest.raises(NonFiniteLossError, match="critic loss of a at learner step 1"):
        learner.update(bad)
    torch.save({name: tuple(trace) for name, trace in traces.items()}, Path(directory) / f"{rank}.pt")


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    """What each of two learners saw."""
    directory = tmp_path_factory.mktemp("group")
    store = open_store("127.0.0.1")
    spawn(worker, args=(2, store.port, str(directory)), nprocs=2)
    return [torch.load(directory / f"{rank}.pt", weights_only=True) for rank in (0, 1)]


@pytest.mark.parametrize("name", CASES)
def test_two_learners_equal_one_with_the_whole_batch(name: str, traces: list[dict]) -> None:
    torch.set_num_threads(1)
    expected = train(CASES[name], ALONE)
    for rank in (0, 1):
        losses, state = traces[rank][name]
        for ours, theirs in zip(losses, expected.losses, strict=True):
            assert ours == pytest.approx(theirs, rel=1e-5, abs=1e-5)
        for part in ("actor", "critic", "target_critic"):
            for parameter, tensor in state[part].items():
                torch.testing.assert_close(tensor, expected.state[part][parameter], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_the_learners_stay_the_same_to_the_bit(name: str, traces: list[dict]) -> None:
    first, second = (rank[name][1] for rank in traces)
    for part in ("actor", "critic", "target_critic"):
        for parameter, tensor in first[part].items():
            assert torch.equal(tensor, second[part][parameter]), f"{part} {parameter}"
    assert torch.equal(first["log_alpha"], second["log_alpha"])
    assert torch.equal(first["generator"], second["generator"])


def test_a_share_has_as_many_rows_of_each_task_as_any_other_but_for_one() -> None:
    batch = whole_batch(2)
    shares = [share(batch, LearnerGroup(rank, 3)) for rank in range(3)]
    for task in range(3):
        rows = [part.group_sizes[task] for part in shares]
        assert max(rows) - min(rows) <= 1 and sum(rows) == batch.group_sizes[task]
    for part in shares:
        assert torch.equal(part.task_id, part.task_id.sort().values)
