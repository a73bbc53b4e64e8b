"""Checkpoints: directories that appear whole or not at all, and are refused when damaged.

<run>/checkpoints/step-<learner_steps>/
    learner.pt      the learner's state_dict, loaded with weights_only=True
    policy.npz      the policy as actors run it
    state.json      counters and the states of the run's other parts
    manifest.json   format, learner_steps and the sha256 of each of the three
"""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from actors.checkpoint_path import STATE_FILE, checkpoint_path, checkpoint_paths
from actors.policy_weights import POLICY_FILE, PolicyMetadata, write_policy
from learner.publisher import export_policy
from learner.sac import SacLearner
from replay_service import atomic_directory

FORMAT = 1
LEARNER_FILE, MANIFEST_FILE = "learner.pt", "manifest.json"
_FILES = (LEARNER_FILE, POLICY_FILE, STATE_FILE)


class CheckpointError(ValueError):
    """A checkpoint is missing, damaged or foreign; the message names the file and what to use instead."""


class Checkpoint(NamedTuple):
    """A checkpoint as read: the learner's state_dict, and counters and states of the run's other parts."""

    path: Path
    learner: dict[str, Any]
    state: dict[str, Any]


def write_checkpoint(
    run_dir: Path, learner: SacLearner, suite: str, state: Mapping[str, Any], keep_last: int
) -> Path:
    """Write the learner and `state` (JSON values), and remove older checkpoints so that `keep_last` are left.

    One with a higher number can only be damaged or foreign: it neither counts nor is removed.
    """
    temporary = atomic_directory.begin(checkpoint_path(run_dir, learner.learner_steps).parent)
    torch.save(learner.state_dict(), temporary / LEARNER_FILE)
    spec = learner.spec
    metadata = PolicyMetadata(learner.learner_steps, suite, learner.task_names, spec.obs_dim, spec.action_dim)
    write_policy(temporary / POLICY_FILE, export_policy(learner), metadata)
    _write_json(temporary / STATE_FILE, state)
    hashes = {name: atomic_directory.sha256(temporary / name) for name in _FILES}
    manifest = {"format": FORMAT, "learner_steps": learner.learner_steps, "sha256": hashes}
    _write_json(temporary / MANIFEST_FILE, manifest)
    # In the place of the same step, if it was saved before: by an earlier request, or before a resume.
    path = atomic_directory.publish(temporary, checkpoint_path(run_dir, learner.learner_steps).name)
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
        version, hashes = manifest["format"], manifest["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return f"{path} is no checkpoint of this project: its {MANIFEST_FILE} is missing or unreadable"
    if version != FORMAT:
        return f"{path} has checkpoint format {version} and this version reads format {FORMAT}"
    for name in _FILES:
        if not (path / name).is_file():
            return f"{path / name} is missing"
        if atomic_directory.sha256(path / name) != hashes.get(name):
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


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1, allow_nan=False))
