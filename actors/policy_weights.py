"""Published weights of the actor network: their format, and the file that keeps them in a checkpoint."""

from __future__ import annotations

import json
import shlex
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from actors.checkpoint_path import DIRECTORY, PREFIX, checkpoint_paths
from replay_service.atomic_file import atomic_file

POLICY_FILE = "policy.npz"
_METADATA_KEY = "metadata"
_RUN_FILE = "config.yaml"  # of a directory that is a run's


class PolicyWeights(NamedTuple):
    """One published version of the actor network.

    Every linear layer is a pool of K slices that a task mixes: W_tau = sum_k mix[tau, k] W_k and
    b_tau = sum_k mix[tau, k] b_k, composed before the activation. A plain layer is K = 1 with a mix of
    ones; a head per task is K = T with the identity. Keys of `params` (all float32):

        shared/mix            [T, K]      optional branch, with
        shared/task_vector    [T, Z]      optional: appended to the observation (identity = one-hot)
        shared/{i}/weight     [K, in, out]
        shared/{i}/bias       [K, out]    relu after every layer
        unique/...                        optional branch of the same form; relu between its layers, none
                                          after the last, whose output is divided by its Euclidean norm
        head/mix              [T, K]
        head/weight           [K, F, 2 A] reads [f_shared, f_unique]; mean and log std, in this order
        head/bias             [K, 2 A]
        log_std_bounds        [2]         log std is clipped to them

    The action is tanh(mean) in the mode and tanh(mean + exp(log_std) * normal) when sampled.
    """

    version: int  # learner steps at publication
    params: Mapping[str, NDArray[np.float32]]

    @property
    def are_trained(self) -> bool:
        """Whether the learner had made an update when it published them."""
        return self.version > 0


class PolicyMetadata(NamedTuple):
    """What a policy's file keeps beside its weights."""

    version: int
    suite: str
    tasks: tuple[str, ...]
    obs_dim: int
    action_dim: int


def write_policy(path: Path, weights: PolicyWeights, metadata: PolicyMetadata) -> None:
    """Write the weights and what they are; the file appears whole or not at all."""
    text = np.array(json.dumps(metadata._asdict()))
    with atomic_file(path) as file:
        np.savez(file, allow_pickle=False, **{_METADATA_KEY: text}, **dict(weights.params))


def read_policy(path: Path) -> tuple[PolicyWeights, PolicyMetadata]:
    """Read what `write_policy` wrote; ValueError for any other or a damaged file."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        fields = json.loads(str(arrays.pop(_METADATA_KEY)))
        metadata = PolicyMetadata(**{**fields, "tasks": tuple(fields["tasks"])})
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"a policy file must be whole and written by this project, got {path} ({error})"
        ) from error
    return PolicyWeights(metadata.version, arrays), metadata


def find_policy_file(run_or_checkpoint: str | Path) -> Path:
    """Find the policy of a checkpoint directory, or of the newest checkpoint of a run directory."""
    directory = Path(run_or_checkpoint)
    if not directory.exists():
        raise ValueError(
            f"a run or checkpoint must exist, got {directory}; `stars-dist runs [DIR]` lists runs"
        )
    if directory.is_file():
        return directory
    if (directory / POLICY_FILE).is_file():
        return directory / POLICY_FILE
    whole = [path for path in checkpoint_paths(directory) if (path / POLICY_FILE).is_file()]
    if not whole and (directory / _RUN_FILE).is_file():
        raise ValueError(
            f"a run must have saved a checkpoint, {directory} has none yet; how it stands: "
            f"stars-dist status {shlex.quote(str(directory))}"
        )
    if not whole:
        raise ValueError(
            f"a run must hold {DIRECTORY}/{PREFIX}<learner_steps>/{POLICY_FILE}, or a checkpoint "
            f"{POLICY_FILE} itself; {directory} has neither"
        )
    return whole[-1] / POLICY_FILE
