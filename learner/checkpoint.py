"""Checkpoints: directories that appear whole or not at all, and are refused when damaged.

<run>/checkpoints/step-<learner_steps>/
    learner.pt      the learner's state_dict, loaded with weights_only=True
    policy.npz      the policy as actors run it
    state.json      counters and the states of the run's other parts
    serial/         of a run in one process: its replay and all else that its next update depends on
    manifest.json   format, learner_steps and the sha256 of every other file
"""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from actors.checkpoint_path import STATE_FILE, checkpoint_path, checkpoint_paths
from actors.policy_weights import POLICY_FILE, PolicyMetadata, PolicyWeights, write_policy
from learner.publisher import export_policy
from learner.sac import SacLearner
from replay_service import atomic_directory

FORMAT = 1
LEARNER_FILE, MANIFEST_FILE = "learner.pt", "manifest.json"
_FILES = (LEARNER_FILE, POLICY_FILE, STATE_FILE)

AddFiles = Callable[[Path], None]
"""Write further files into a checkpoint's directory."""


class CheckpointError(ValueError):
    """A checkpoint is missing, damaged or foreign; the message names the file and what to use instead."""


class Checkpoint(NamedTuple):
    """A checkpoint as read: the learner's state_dict, and counters and states of the run's other parts."""

    path: Path
    learner: dict[str, Any]
    state: dict[str, Any]


class LearnerCopy(NamedTuple):
    """What a checkpoint is written from: a copy in the host's memory that later updates do not change."""

    learner: dict[str, Any]
    policy: PolicyWeights
    metadata: PolicyMetadata
    state: dict[str, Any]  # JSON values, of the run's other parts

    @property
    def learner_steps(self) -> int:
        """The updates that it has made."""
        return self.policy.version


def copy_learner(learner: SacLearner, suite: str, state: Mapping[str, Any]) -> LearnerCopy:
    """Copy the learner as it is now."""
    spec = learner.spec
    metadata = PolicyMetadata(learner.learner_steps, suite, learner.task_names, spec.obs_dim, spec.action_dim)
    return LearnerCopy(_copied(learner.state_dict()), export_policy(learner), metadata, dict(state))


def write_checkpoint(
    run_dir: Path, learner: SacLearner, suite: str, state: Mapping[str, Any], keep_last: int
) -> Path:
    """Write the learner and `state` (JSON values), as `write_copy` does."""
    return write_copy(run_dir, copy_learner(learner, suite, state), keep_last)


def write_copy(
    run_dir: Path, copy: LearnerCopy, keep_last: int, add_files: AddFiles = lambda _: None
) -> Path:
    """Write a checkpoint, and remove older ones so that `keep_last` are left.

    `add_files` is given the directory before it appears, for files of the run's other parts. A checkpoint with a
    higher number can only be damaged or foreign: it neither counts nor is removed.
    """
    temporary = atomic_directory.begin(checkpoint_path(run_dir, copy.learner_steps).parent)
    with atomic_directory.cleared_on_error(temporary):
        torch.save(copy.learner, temporary / LEARNER_FILE)
        write_policy(temporary / POLICY_FILE, copy.policy, copy.metadata)
        _write_json(temporary / STATE_FILE, copy.state)
        add_files(temporary)
        files = sorted(path.relative_to(temporary) for path in temporary.rglob("*") if path.is_file())
        hashes = {str(name): atomic_directory.sha256(temporary / name) for name in files}
        manifest = {"format": FORMAT, "learner_steps": copy.learner_steps, "sha256": hashes}
        _write_json(temporary / MANIFEST_FILE, manifest)
        # In the place of the same step, if it was saved before: by an earlier request, or before a resume.
        path = atomic_directory.publish(temporary, checkpoint_path(run_dir, copy.learner_steps).name)
    paths = checkpoint_paths(run_dir)
    for old in paths[: paths.index(path) + 1][:-keep_last]:
        shutil.rmtree(old)
    return path


def read_checkpoint(path: Path) -> Checkpoint:
    """Check every file against the manifest and load the checkpoint.

    Raises:
        CheckpointError: names the damaged or foreign file, and the newest older checkpoint that is whole.
    """
    fault = _fault(path)
    if fault is not None:
        raise CheckpointError(f"{fault}; {_remedy(path)}")
    try:
        learner = torch.load(path / LEARNER_FILE, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise CheckpointError(f"{path / LEARNER_FILE} does not load ({error}); {_remedy(path)}") from error
    return Checkpoint(path, learner, json.loads((path / STATE_FILE).read_text()))


def restore_learner(learner: SacLearner, path: Path) -> dict[str, Any]:
    """Load a checkpoint into a learner of the same configuration; return the rest of its state.

    Raises:
        CheckpointError: the checkpoint is damaged, or of other networks or tasks.
    """
    checkpoint = read_checkpoint(path)
    try:
        learner.load_state_dict(checkpoint.learner)
    except (RuntimeError, KeyError, ValueError) as error:
        first_line = str(error).splitlines()[-1].strip()
        raise CheckpointError(
            f"{path / LEARNER_FILE} is of a run with other networks or tasks ({first_line}); resume with the "
            "config.yaml of its own run"
        ) from error
    return checkpoint.state


def weights_hash(learner: SacLearner) -> str:
    """Return the SHA-256 of every parameter of actor, critics and target critics: equal for equal runs."""
    digest = hashlib.sha256()
    for network in (learner.actor, learner.critic, learner.target_critic):
        for tensor in network.state_dict().values():
            digest.update(tensor.cpu().numpy().tobytes())
    return digest.hexdigest()


def _fault(path: Path) -> str | None:
    """Return what is wrong with a checkpoint's files; None if nothing is."""
    try:
        manifest = json.loads((path / MANIFEST_FILE).read_text())
        version, hashes = manifest["format"], dict(manifest["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return f"{path} is no checkpoint of this project: its {MANIFEST_FILE} is missing or unreadable"
    if version != FORMAT:
        return f"{path} has checkpoint format {version} and this version reads format {FORMAT}"
    for name in sorted({*_FILES, *hashes}):
        if Path(name).is_absolute() or ".." in Path(name).parts:
            return f"{path / MANIFEST_FILE} names {name}, which is no file of the checkpoint"
        if not (path / name).is_file():
            return f"{path / name} is missing"
        try:
            is_whole = atomic_directory.sha256(path / name) == hashes.get(name)
        except OSError as error:
            return f"{path / name} cannot be read ({error.strerror})"
        if not is_whole:
            return f"{path / name} is damaged: its sha256 is not the one in {MANIFEST_FILE}"
    return None


def _remedy(path: Path) -> str:
    """Return the remedy of an error: the checkpoint to use instead."""
    run_dir = path.parent.parent
    older = [
        other for other in checkpoint_paths(run_dir) if other.name != path.name and _fault(other) is None
    ]
    if not older:
        return f"{run_dir} holds no other whole checkpoint: start the run anew"
    return f"use the newest other one that is whole: {older[-1]}"


def _copied(value: Any) -> Any:
    """Copy the tensors of a state_dict to the host's memory, also those that lie there already."""
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return type(value)(map(_copied, value)) if isinstance(value, list | tuple) else value


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1, allow_nan=False))
