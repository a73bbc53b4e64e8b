"""The starter policy that comes with the package: four tasks of Meta-World, trained by this project on one core."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

from actors.config import EnvironmentConfig
from actors.policy_weights import read_policy
from actors.suites import parse_suite
from stars_dist.video.shown_policy import ShownPolicy

_FILES = Path(str(resources.files("stars_dist.demo"))) / "starter"
POLICY_FILE, RECORD_FILE = _FILES / "policy.npz", _FILES / "training.json"


def starter_policy() -> ShownPolicy:
    """Load it, with stock environments: the library's own physics and rewards, none of our faster evaluation."""
    if not POLICY_FILE.is_file():
        raise ValueError(
            f"the demo's policy must come with the package, {POLICY_FILE} is absent; reinstall stars-dist"
        )
    weights, metadata = read_policy(POLICY_FILE)
    suite = parse_suite(metadata.suite)
    return ShownPolicy("demo", weights, suite, training_record()["seed"], EnvironmentConfig(fast=False))


def training_record() -> dict[str, Any]:
    """Read how the policy was trained: command, commit, versions, seed, steps and its evaluation."""
    return json.loads(RECORD_FILE.read_text())
