"""The features of trained policies in two dimensions: how tasks lie in the shared and in the unique ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from actors.environment import build_environment
from actors.policy import NumpyPolicy
from replay_service.atomic_file import atomic_file
from stars_dist.evaluate import CheckpointPolicy
from stars_dist.monitor.features import principal_plane

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BRANCHES = ("shared", "unique")


class FeatureMap(NamedTuple):
    """The features of one branch at N states, and their projection onto the two directions of most variance."""

    points: NDArray[np.float64]  # f64[N, 2]
    task_id: NDArray[np.int64]  # i64[N]
    shown: float  # share of the variance that the two directions hold
    within: (
        float  # share of the variance that lies within tasks; 0: a code of the task, 1: says nothing of it
    )


class PolicyFeatures(NamedTuple):
    """The maps of one policy; a branch that its networks do not have is missing."""

    tasks: tuple[str, ...]
    maps: Mapping[str, FeatureMap]  # by branch


def policy_features(policy: CheckpointPolicy, episodes: int, states_per_task: int) -> PolicyFeatures:
    """Run the mode of a policy in each task and map the actor's features at states spread over the episodes."""
    suite = policy.plan.suite
    rows: dict[str, list[NDArray[np.float32]]] = {branch: [] for branch in BRANCHES}
    for task in suite.tasks:
        numpy_policy = NumpyPolicy(policy.weights, (task.id,), suite.obs_dim)
        states = _visit(numpy_policy, policy, task.id, episodes)
        chosen = states[np.linspace(0, len(states) - 1, states_per_task).astype(int)]
        of_task = [numpy_policy.features(state[None]) for state in chosen]
        for branch, features in zip(BRANCHES, zip(*of_task, strict=True), strict=True):
            rows[branch].append(np.concatenate(features))
    maps = {branch: map_features(features) for branch, features in rows.items() if features[0].shape[1]}
    return PolicyFeatures(suite.task_names, maps)


def map_features(by_task: Sequence[NDArray[np.float32]]) -> FeatureMap:
    """Project the features f32[N_tau, F] of each task by principal components of all rows together."""
    features = np.concatenate(by_task)
    task_id = np.repeat(np.arange(len(by_task)), [len(rows) for rows in by_task])
    centred = features - features.mean(axis=0, dtype=np.float64)
    total = max(float((centred**2).sum()), np.finfo(np.float64).tiny)
    within = sum(float(((rows - rows.mean(axis=0, dtype=np.float64)) ** 2).sum()) for rows in by_task)
    points = principal_plane(features)
    return FeatureMap(points, task_id, float((points**2).sum() / total), within / total)


def draw_feature_maps(path: Path, policies: Mapping[str, PolicyFeatures]) -> None:
    """Write a PNG: a row for each policy, a column for each branch, a colour for each task."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 1 + 4.2 * len(policies)), layout="constrained")
    table = figure.subplots(len(policies), len(BRANCHES), squeeze=False)
    colours = colormaps["tab10" if len(next(iter(policies.values())).tasks) <= 10 else "turbo"]
    for row, (name, features) in zip(table, policies.items(), strict=True):
        for axes, branch in zip(row, BRANCHES, strict=True):
            axes.set(xticks=[], yticks=[], title=f"{name}: {branch} features")
            _draw_map(axes, features, branch, colours)
    handles, labels = next(axes for axes in figure.axes if axes.collections).get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, markerscale=3)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as file:
        figure.savefig(file, dpi=100, format="png")


def _draw_map(axes: Axes, features: PolicyFeatures, branch: str, colours: object) -> None:
    if branch not in features.maps:
        axes.text(0.5, 0.5, "no such branch", ha="center", va="center", color="0.5", transform=axes.transAxes)
        return
    mapped, count = features.maps[branch], len(features.tasks)
    for task_id, task in enumerate(features.tasks):
        colour = colours(task_id if count <= 10 else task_id / (count - 1))  # pyright: ignore[reportCallIssue] -- matplotlib's colour maps
        points = mapped.points[mapped.task_id == task_id]
        axes.scatter(points[:, 0], points[:, 1], s=5, color=colour, label=task, linewidths=0)
    axes.set_xlabel(f"{mapped.within:.0%} of the variance within tasks; {mapped.shown:.0%} of it shown")


def _visit(
    policy: NumpyPolicy, trained: CheckpointPolicy, task_id: int, episodes: int
) -> NDArray[np.float32]:
    """Return the observations f32[N, O] of some episodes, each of another goal."""
    plan = trained.plan
    env = build_environment(plan.suite, task_id, plan.config.seed, (), plan.config.environment)
    states = []
    try:
        for number in range(episodes):
            obs, _ = env.reset(options={"goal": number % len(env.goals)})
            terminated = truncated = False
            while not (terminated or truncated):
                states.append(obs)
                obs, _, terminated, truncated, _ = env.step(policy.act(obs[None])[0])
    finally:
        env.close()
    return np.stack(states)
