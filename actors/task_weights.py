"""Published weights by task: each task's matrices composed once by the learner; an actor is sent its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from actors.composed_layers import Params
from actors.policy_weights import PolicyWeights

_BRANCHES = ("shared", "unique", "head")


class TaskWeights(NamedTuple):
    """One version of the weights, cut by task."""

    version: int
    common: Params  # what all tasks have in common
    of_task: tuple[Params, ...]  # each task's own matrices, composed; empty where no task has any


def split_weights(weights: PolicyWeights) -> TaskWeights:
    """Compose every task's matrices and cut them out; branches that tasks share stay as they are."""
    common = dict(weights.params)
    own = {}
    for branch in _BRANCHES:
        mix = common.get(f"{branch}/mix")
        if mix is None or (mix == mix[0]).all():
            continue
        del common[f"{branch}/mix"]
        for key in [key for key in common if _is_layer(key, branch)]:
            own[key] = np.tensordot(mix, common.pop(key), axes=1)  # f32[T, in, out] or f32[T, out]
    num_tasks = len(next(iter(own.values()))) if own else 0
    of_task = tuple({key: tasks[task] for key, tasks in own.items()} for task in range(num_tasks))
    return TaskWeights(weights.version, common, of_task)


def join_weights(
    version: int, common: Params, of_task: Mapping[int, Params], num_tasks: int
) -> PolicyWeights:
    """Make weights of what was cut, for the tasks of `of_task`; those of any other task are nan."""
    params, tasks = dict(common), sorted(of_task)
    if not tasks:
        return PolicyWeights(version, params)
    mix = np.full((num_tasks, len(tasks)), np.nan, np.float32)
    mix[tasks] = np.eye(len(tasks), dtype=np.float32)
    for key in of_task[tasks[0]]:
        parts = [of_task[task][key] for task in tasks]
        params[key] = parts[0][None] if len(parts) == 1 else np.stack(parts)
        params[f"{key.partition('/')[0]}/mix"] = mix
    return PolicyWeights(version, params)


def _is_layer(key: str, branch: str) -> bool:
    return key.startswith(f"{branch}/") and key.endswith(("/weight", "/bias"))
