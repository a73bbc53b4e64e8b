"""How the starter policy came into the package: `python -m stars_dist.demo.ship RUN` takes that of a run.

The run: `stars-dist launch --suite starter --preset stars --preset laptop --serial --steps 300000 --seed 2`, with
`--set evaluation.final_episodes_per_task=50`: 0.995 over its goals (docs/results/starter-demo.md).
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from replay_service.atomic_file import write_text
from stars_dist.demo.starter_policy import POLICY_FILE, RECORD_FILE
from stars_dist.evaluate import CheckpointPolicy, read_checkpoint_policy
from stars_dist.run_files.directory import RunDirectory

LARGEST_BYTES = 1_000_000  # of the policy, so that the package stays small


def ship(run_or_checkpoint: Path) -> None:
    """Copy a policy and the record of its training; ValueError where it is too large."""
    policy = read_checkpoint_policy(run_or_checkpoint)
    source = policy.directory / POLICY_FILE.name
    if source.stat().st_size > LARGEST_BYTES:
        raise ValueError(
            f"the policy must be below {LARGEST_BYTES:,} bytes, {source} is larger; use --preset laptop"
        )
    POLICY_FILE.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, POLICY_FILE)
    write_text(RECORD_FILE, json.dumps(_record(policy), indent=1) + "\n")


def _record(policy: CheckpointPolicy) -> dict[str, Any]:
    run = RunDirectory.existing(policy.directory.absolute().parent.parent)
    provenance = run.read_provenance()
    return {
        "command": provenance["command"],
        "commit": provenance["commit"],
        "versions": provenance["versions"],
        "seed": provenance["seed"],
        "env_steps": policy.env_steps,
        "of_env_steps": policy.plan.total_steps,
        "learner_steps": policy.weights.version,
    }


if __name__ == "__main__":
    ship(Path(sys.argv[1]))
