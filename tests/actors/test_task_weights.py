"""Weights cut by task act as the whole does, hold no other task, and are smaller."""

from __future__ import annotations

import numpy as np
import pytest

from actors.policy import NumpyPolicy
from actors.task_weights import join_weights, split_weights
from tests.actors.conftest import MakeWeights

OBS_DIM = 6
FORMS = ["stars", "paco", "mtsac", "multi-head", "unique-only"]


def obs(rows: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((rows, OBS_DIM), dtype=np.float32)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("tasks", [(2,), (0, 3), (0, 1, 2, 3), (3, 1, 1)])
def test_parts_act_as_the_whole(form: str, tasks: tuple[int, ...], make_weights: MakeWeights) -> None:
    weights = make_weights(form)
    version, common, of_task = split_weights(weights)
    own = {task: of_task[task] for task in tasks} if of_task else {}
    joined = join_weights(version, common, own, 4)
    assert joined.version == weights.version
    expected = NumpyPolicy(weights, tasks, OBS_DIM).act(obs(len(tasks)))
    np.testing.assert_allclose(NumpyPolicy(joined, tasks, OBS_DIM).act(obs(len(tasks))), expected, rtol=1e-5)


def test_a_task_whose_part_is_not_there_acts_by_nan(make_weights: MakeWeights) -> None:
    """Rather than by a network of zeros, which nobody would notice."""
    version, common, of_task = split_weights(make_weights("stars"))
    joined = join_weights(version, common, {1: of_task[1]}, 4)
    assert np.isnan(NumpyPolicy(joined, [2], OBS_DIM).act(obs(1))).all()


def test_tasks_that_share_everything_have_no_parts(make_weights: MakeWeights) -> None:
    weights = make_weights("mtsac")
    split = split_weights(weights)
    assert split.of_task == () and split.common.keys() == weights.params.keys()


def test_a_task_is_sent_one_matrix_of_each_layer(make_weights: MakeWeights) -> None:
    weights = make_weights("stars")
    _, common, of_task = split_weights(weights)
    pooled = [
        key for key in weights.params if key.startswith(("shared/", "head/")) and not key.endswith("mix")
    ]
    assert of_task[0].keys() == set(pooled) and not common.keys() & set(pooled)
    for key in pooled:
        assert of_task[0][key].shape == weights.params[key].shape[1:]
