"""The options of `stars-dist launch`, in the order and the groups of its help."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from actors.suites import SUITE_GRAMMAR
from stars_dist.commands.completion import preset_names, suite_names

if TYPE_CHECKING:
    from stars_dist.config.merge import Flags

KEYS = {  # which keys of the configuration a parameter of `launch` gives
    "suite": ("suite",),
    "actors": ("actors.num_actors",),
    "steps": ("steps",),
    "seed": ("seed",),
    "learners": ("learner.num_learners",),
    "device": ("device",),
    "shards": ("replay.num_shards",),
    "address": ("address",),
    "wait_for_cores": ("wait_for_cores_s",),
    "checkpoint_dir": ("checkpoint.directory",),
    "checkpoint_every": ("checkpoint.every_env_steps",),
    "replay_snapshot_every": ("replay.snapshot_every_env_steps",),
    "eval_every": ("evaluation.every_env_steps",),
    "eval_episodes": ("evaluation.episodes_per_task", "evaluation.final_episodes_per_task"),
    "serial": ("serial",),
    "tracker": ("trackers",),
}


class Device(StrEnum):
    """Where the learner computes."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class Resume(StrEnum):
    """What a launch does where its run is already."""

    AUTO = "auto"
    NEVER = "never"


def _number(panel: str, text: str) -> Any:
    """Make an option that takes a number, as text: the configuration checks it and names rule, value and remedy."""
    return typer.Option(None, metavar="N", help=text, rich_help_panel=panel)


TASKS = "What to train"
SUITE = typer.Option(
    None,
    help=f"{SUITE_GRAMMAR}.  [default: that of the presets, else mt10]",
    rich_help_panel=TASKS,
    autocompletion=suite_names,
)
PRESET = typer.Option(
    ["stars"],
    help="A method, ablations and mixins by name (`stars-dist presets`), or FILE.yaml, the config.yaml of a run too; "
    "a later one wins.",
    rich_help_panel=TASKS,
    autocompletion=preset_names,
)
SET = typer.Option([], "--set", help="key.subkey=value for any field; repeatable.", rich_help_panel=TASKS)
STEPS = _number(TASKS, "Environment steps over all tasks.  [default: the suite's standard budget]")
SEED = _number(TASKS, "Root of every random stream.  [default: 1]")
SEEDS = typer.Option(
    None,
    metavar="N,N,...",
    help="Runs with these seeds, one after the other, in DIR/seed-N; also as 1-5.",
    rich_help_panel=TASKS,
)
MACHINE = "Where it runs"
ACTORS = _number(MACHINE, "Rollout actors, 1 or more.  [default: one per task]")
LEARNERS = _number(MACHINE, "Learner processes that share each batch, with a GPU each.  [default: 1]")
DEVICE = typer.Option(None, help="Where the learner computes.  [default: auto]", rich_help_panel=MACHINE)
SHARDS = typer.Option(
    None, help="auto or a number of replay shards.  [default: auto]", rich_help_panel=MACHINE
)
ADDRESS = typer.Option(
    None,
    help="auto (a running Ray cluster, else a new local one), local, or ADDRESS.  [default: auto]",
    rich_help_panel=MACHINE,
)
WAIT_FOR_CORES = typer.Option(
    None,
    metavar="S",
    help="On a running cluster: seconds without a launch, until actors that wait for a core share what is there.  "
    "[default: 600]",
    rich_help_panel=MACHINE,
)
SERIAL = typer.Option(
    False, help="One process without Ray, in lock-step, bit-reproducible.", rich_help_panel=MACHINE
)
FILES = "What it writes, and when"
RUN_DIR = typer.Option(
    None,
    help="Run directory.  [default: runs/<suite>-<preset>-s<seed>-<time>-<4 digits>]",
    rich_help_panel=FILES,
)
RESUME = typer.Option(
    Resume.AUTO,
    help="auto: go on with the same run where --run-dir or --checkpoint-dir holds it, refuse another; never: start "
    "new runs alone.",
    rich_help_panel=FILES,
)
CHECKPOINT_DIR = typer.Option(
    None,
    metavar="URL",
    help="Storage that outlives the machine, to which checkpoints are copied: a directory or a URL of fsspec, as "
    "s3://bucket/run.  [default: none]",
    rich_help_panel=FILES,
)
CHECKPOINT_EVERY = _number(FILES, "Environment steps between checkpoints.  [default: every five minutes]")
REPLAY_SNAPSHOT_EVERY = _number(
    FILES, "Environment steps between snapshots of the replay, against lost hosts.  [default: none]"
)
EVAL_EVERY = _number(FILES, "Environment steps between evaluations.")
EVAL_EPISODES = _number(FILES, "Episodes per task in each evaluation.")
TRACKER = typer.Option(
    [],
    metavar="wandb|mlflow",
    help="Mirror the metrics there too, beside TensorBoard; repeatable. Needs 'stars-dist[wandb]' or [mlflow].",
    rich_help_panel=FILES,
)
DRY_RUN = typer.Option(False, help="Show the plan and the resolved configuration, start nothing.")


def flags(parameters: Mapping[str, Any]) -> Flags:
    """Turn the parameters of `launch` into values by flag and key; one that was not given is None."""
    given = dict(parameters)
    given["shards"] = None if given["shards"] == "auto" else given["shards"]
    given["device"] = given["device"] and given["device"].value
    given["checkpoint_dir"] = given["checkpoint_dir"] and _absolute(given["checkpoint_dir"])
    given["serial"] = given["serial"] or None
    given["tracker"] = tuple(given["tracker"]) or None
    return {(f"--{name.replace('_', '-')}", key): given[name] for name, keys in KEYS.items() for key in keys}


def _absolute(place: str) -> str:
    """Make a directory absolute: processes of a run start elsewhere; a URL stays as it is."""
    return place if "://" in place else str(Path(place).expanduser().absolute())
