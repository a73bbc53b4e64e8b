"""The options of `stars-dist launch`, in the order and the groups of its help."""

from __future__ import annotations

from enum import StrEnum

import typer

from actors.suites import SUITE_GRAMMAR
from stars_dist.commands.completion import preset_names, suite_names


class Device(StrEnum):
    """Where the learner computes."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class Resume(StrEnum):
    """What a launch does where its run is already."""

    AUTO = "auto"
    NEVER = "never"


# Numbers arrive as text: the configuration checks them and names rule, value and remedy.
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
STEPS = typer.Option(
    None,
    metavar="N",
    help="Environment steps over all tasks.  [default: the suite's standard budget]",
    rich_help_panel=TASKS,
)
SEED = typer.Option(
    None, metavar="N", help="Root of every random stream.  [default: 1]", rich_help_panel=TASKS
)
SEEDS = typer.Option(
    None,
    metavar="N,N,...",
    help="Runs with these seeds, one after the other, in DIR/seed-N; also as 1-5.",
    rich_help_panel=TASKS,
)
MACHINE = "Where it runs"
ACTORS = typer.Option(
    None, metavar="N", help="Rollout actors, 1 or more.  [default: one per task]", rich_help_panel=MACHINE
)
LEARNERS = typer.Option(
    None,
    metavar="N",
    help="Learner processes that share each batch, with a GPU each.  [default: 1]",
    rich_help_panel=MACHINE,
)
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
CHECKPOINT_EVERY = typer.Option(
    None,
    metavar="N",
    help="Environment steps between checkpoints.  [default: every five minutes]",
    rich_help_panel=FILES,
)
REPLAY_SNAPSHOT_EVERY = typer.Option(
    None,
    metavar="N",
    help="Environment steps between snapshots of the replay, against lost hosts.  [default: none]",
    rich_help_panel=FILES,
)
EVAL_EVERY = typer.Option(
    None, metavar="N", help="Environment steps between evaluations.", rich_help_panel=FILES
)
EVAL_EPISODES = typer.Option(
    None, metavar="N", help="Episodes per task in each evaluation.", rich_help_panel=FILES
)
TRACKER = typer.Option(
    [],
    metavar="wandb|mlflow",
    help="Mirror the metrics there too, beside TensorBoard; repeatable. Needs 'stars-dist[wandb]' or [mlflow].",
    rich_help_panel=FILES,
)
DRY_RUN = typer.Option(False, help="Show the plan and the resolved configuration, start nothing.")
