"""Small learners, batches and replay services for the tests of the learner."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from learner.batch import BatchCopier, TensorBatch
from learner.config import SacConfig
from learner.network_config import NetworkConfig, SharedConfig, UniqueConfig
from learner.networks import NetworkInput
from learner.sac import SacLearner
from replay_service.config import ReplayConfig, SamplingConfig, TaskPriorityConfig
from replay_service.plan import ReplayPlan
from replay_service.sampler import ReplaySampler
from replay_service.shard import Shard
from replay_service.transport import LocalTransport
from replay_service.types import (
    Chunk,
    ChunkId,
    SampledBatch,
    SampleInfo,
    TransitionBatch,
    TransitionSpec,
)

OBS_DIM, ACTION_DIM = 5, 2
SMALL_UNIQUE = UniqueConfig(task_dim=3, hidden=(12,), dim=6)
NO_UNIQUE = UniqueConfig(enabled=False)
SMALL = NetworkConfig(
    shared=SharedConfig(num_slices=3), unique=SMALL_UNIQUE, actor_hidden=(16, 12), critic_hidden=(14, 10)
)
PLAIN = SharedConfig(kind="plain")
PACO = SharedConfig(num_slices=3, slice_init="equal", mix_init="normal", mix_norm="none")


def _unique(**changes: object) -> UniqueConfig:
    return UniqueConfig.model_validate(SMALL_UNIQUE.model_dump() | changes)


METHODS = {
    "stars": {},
    "stars-before": {  # what a run computes that was started before these fields were there
        "shared": SharedConfig(num_slices=3, slice_init="equal", mix_init="simplex", mix_norm="none"),
        "unique": _unique(task_init_std=1.0, normalize_input=False, triplet_margin=0.2, within_variance=0.0),
    },
    "stars-layer-norm": {"critic_layer_norm": True},
    "no-triplet": {"unique": _unique(triplet_weight=0.0)},
    "shared-only": {"unique": NO_UNIQUE},
    "paco": {"unique": NO_UNIQUE, "shared": PACO},
    "unique-only": {"shared": SharedConfig(enabled=False), "head": "shared"},
    "mtsac": {
        "shared": SharedConfig(kind="plain", task_input="one_hot"),
        "unique": NO_UNIQUE,
        "head": "shared",
    },
    "mtmhsac": {
        "shared": SharedConfig(kind="plain", task_input="one_hot"),
        "unique": NO_UNIQUE,
        "head": "per_task",
    },
    "plain-trunk-and-unique": {"shared": PLAIN, "head": "per_task"},
}

VARIANTS = METHODS | {  # what no preset is, but the configuration allows
    "paco-one-hot": {"unique": NO_UNIQUE, "shared": SharedConfig(num_slices=3, task_input="one_hot")},
    "one-unique-layer": {"unique": _unique(hidden=())},
    "state-only-unique": {"unique": _unique(task_dim=0)},
    "raw-unique": {"unique": _unique(normalize_input=False)},
    "free-mix": {"shared": SharedConfig(num_slices=3, mix_norm="none")},
    "one-hot-mix": {"shared": SharedConfig(num_slices=3, mix_init="one_hot")},
    "equal-slices": {"shared": SharedConfig(num_slices=3, slice_init="equal")},
    "hard-triplet": {"unique": _unique(objective="hard_triplet", within_variance=0.0)},
    "supcon": {"unique": _unique(objective="supcon")},
    "infonce": {"unique": _unique(objective="infonce", triplets_per_anchor=2)},
}


def method_config(name: str) -> NetworkConfig:
    return NetworkConfig.model_validate(SMALL.model_dump() | {k: _dump(v) for k, v in VARIANTS[name].items()})


def _dump(value: object) -> object:
    return value.model_dump() if isinstance(value, SharedConfig | UniqueConfig) else value


def _transitions(rng: np.random.Generator, task_id: np.ndarray) -> TransitionBatch:
    def normal(*shape: int) -> np.ndarray:
        return rng.normal(size=(len(task_id), *shape)).astype(np.float32)

    return TransitionBatch(
        obs=normal(OBS_DIM),
        action=np.tanh(normal(ACTION_DIM)),
        reward=normal(),
        next_obs=normal(OBS_DIM),
        terminated=rng.random(len(task_id)) < 0.2,
        task_id=task_id.astype(np.int32),
    )


def random_batch(group_sizes: Sequence[int], seed: int = 0) -> TensorBatch:
    rng = np.random.default_rng(seed)
    task_id = np.repeat(np.arange(len(group_sizes)), group_sizes)
    size = len(task_id)
    info = SampleInfo(np.zeros(size, np.int32), np.arange(size), np.full(size, 1.0 / size))
    weight = rng.uniform(0.2, 1.0, size).astype(np.float32)
    sampled = SampledBatch(_transitions(rng, task_id), weight, np.array(group_sizes, np.int64), info)
    return BatchCopier(torch.device("cpu"))(sampled)


def network_input(batch: TensorBatch) -> NetworkInput:
    """What networks read that normalize nothing."""
    assert isinstance(batch.group_sizes, tuple)
    return NetworkInput(batch.obs, batch.obs, batch.task_id, batch.group_sizes)


@pytest.fixture
def make_batch() -> Callable[..., TensorBatch]:
    return random_batch


@pytest.fixture
def make_learner() -> Callable[..., SacLearner]:
    def make(
        network: NetworkConfig = SMALL, sac: SacConfig | None = None, num_tasks: int = 3, seed: int = 0
    ) -> SacLearner:
        spec = TransitionSpec(num_tasks, OBS_DIM, ACTION_DIM)
        names = [f"task-{i}" for i in range(num_tasks)]
        return SacLearner(network, sac or SacConfig(), spec, names, torch.device("cpu"), seed)

    return make


class Replay:
    """A real replay service of two shards in this process, fed with random transitions."""

    def __init__(self, num_tasks: int = 3, batch_size_per_task: int = 8, total_steps: int = 1200) -> None:
        self.plan = ReplayPlan(
            spec=TransitionSpec(num_tasks, OBS_DIM, ACTION_DIM),
            replay=ReplayConfig(
                capacity_per_task=1000, storage="memory", warmup_steps_per_task=50, num_shards=2
            ),
            sampling=SamplingConfig(
                batch_size_per_task=batch_size_per_task, task_priority=TaskPriorityConfig(quota_floor=2)
            ),
            total_steps=total_steps,
            chunk_steps=50,
            batches_per_call=2,
            seed=0,
            gamma=0.99,
        )
        self.shards = [Shard(i, self.plan) for i in range(2)]
        self.sampler = ReplaySampler(self.plan, LocalTransport(self.shards))
        self._rng = np.random.default_rng(0)
        self._sequence = 0

    def insert(self, steps_per_task: int = 50) -> None:
        """One chunk for every task, as far as the limiter admits it."""
        for task in range(self.plan.num_tasks):
            transitions = _transitions(self._rng, np.full(steps_per_task, task))
            chunk = Chunk(ChunkId(task, 0, self._sequence), transitions, (), 0)
            self.shards[task % 2].insert(chunk, timeout_s=0.0)
        self._sequence += 1

    def warm_up(self) -> None:
        """As many steps as the limiter admits before the first sample, at least the warm-up."""
        self.insert()
        self.insert()


@pytest.fixture
def replay() -> Replay:
    return Replay()
