"""The features of stored states by the newest policy: for TensorBoard's projector, and as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actors.policy import NumpyPolicy
from actors.policy_weights import PolicyWeights
from replay_service.atomic_file import write_text

DIRECTORY = "projector"
CONFIG_FILE = "projector_config.pbtxt"  # where TensorBoard's projector looks for it
METADATA_FILE = "tasks.tsv"

Features = Mapping[str, NDArray[np.float32]]
"""f32[N, F] of each branch that the network has, by its name: unique, shared."""


def policy_features(
    weights: PolicyWeights, obs: NDArray[np.float32], task_id: NDArray[np.int64], obs_dim: int
) -> Features:
    """Compute the features of observations f32[N, O] of given tasks i64[N], sorted by task."""
    shared, unique = [], []
    for task in np.unique(task_id).tolist():
        rows = obs[task_id == task]
        of_task = NumpyPolicy(weights, [task] * len(rows), obs_dim).features(rows)
        shared.append(of_task[0])
        unique.append(of_task[1])
    branches = {"unique": np.concatenate(unique), "shared": np.concatenate(shared)}
    return {name: features for name, features in branches.items() if features.shape[1]}


def principal_plane(features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Project f32[N, F] onto the two directions of most variance: f64[N, 2]."""
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    points = centred @ directions[:2].T
    return np.pad(points, ((0, 0), (0, 2 - points.shape[1])))  # a single feature has one direction


def write_projector(
    run: Path, features: Features, task_id: NDArray[np.int64], task_names: Sequence[str]
) -> None:
    """Write what TensorBoard's projector reads into a run directory, over what was there."""
    directory = run / DIRECTORY
    directory.mkdir(exist_ok=True)
    write_text(directory / METADATA_FILE, "".join(f"{task_names[task]}\n" for task in task_id.tolist()))
    entries = []
    for branch, rows in features.items():
        lines = ("\t".join(f"{value:.5g}" for value in row) for row in rows.tolist())
        write_text(directory / f"{branch}.tsv", "".join(f"{line}\n" for line in lines))
        entries.append(_entry(branch))
    write_text(run / CONFIG_FILE, "".join(entries))


def _entry(branch: str) -> str:
    return (
        "embeddings {\n"
        f'  tensor_name: "{branch} features"\n'
        f'  tensor_path: "{DIRECTORY}/{branch}.tsv"\n'
        f'  metadata_path: "{DIRECTORY}/{METADATA_FILE}"\n'
        "}\n"
    )
