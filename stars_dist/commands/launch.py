"""`stars-dist launch`: start a run."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stars_dist.commands import launch_options as options
from stars_dist.errors import checking_input
from stars_dist.help_page import examples

if TYPE_CHECKING:
    from stars_dist.config.merge import Flags, ResolvedRun
    from stars_dist.config.run_plan import RunPlan
    from stars_dist.run_files.same_run import Repeated
    from stars_dist.sweep.trial import Trial


SMALL_PRESETS = frozenset({"laptop", "small"})  # made for a machine without a GPU
WORTH_TIMING_UPDATES = 5_000
WORTH_SAYING_S = 3_600.0
INSTEAD = "stars-dist launch --suite starter --preset laptop --actors 4 --steps 100000"


@examples(
    "stars-dist launch --suite starter --preset laptop --actors 4 --steps 100000   # four tasks on two cores",
    "stars-dist launch --suite mt50 --actors 50                                    # stars, 100 M steps",
    "stars-dist launch --suite reach-v3,push-v3 --preset mtsac --preset laptop --set sac.gamma=0.99",
    "stars-dist launch --suite toy:4 --preset small --steps 20000 --serial --seeds 1,2,3",
    "stars-dist launch --suite mt10 --dry-run                                      # the plan, nothing starts",
)
def launch(
    suite: str | None = options.SUITE,
    preset: list[str] = options.PRESET,
    set_: list[str] = options.SET,
    steps: str | None = options.STEPS,
    seed: str | None = options.SEED,
    seeds: str | None = options.SEEDS,
    actors: str | None = options.ACTORS,
    learners: str | None = options.LEARNERS,
    device: options.Device | None = options.DEVICE,
    shards: str | None = options.SHARDS,
    address: str | None = options.ADDRESS,
    wait_for_cores: str | None = options.WAIT_FOR_CORES,
    serial: bool = options.SERIAL,
    run_dir: str | None = options.RUN_DIR,
    resume: options.Resume = options.RESUME,
    checkpoint_dir: str | None = options.CHECKPOINT_DIR,
    checkpoint_every: str | None = options.CHECKPOINT_EVERY,
    replay_snapshot_every: str | None = options.REPLAY_SNAPSHOT_EVERY,
    eval_every: str | None = options.EVAL_EVERY,
    eval_episodes: str | None = options.EVAL_EPISODES,
    tracker: list[str] = options.TRACKER,
    dry_run: bool = options.DRY_RUN,
) -> None:
    """Train on a suite of tasks."""
    flags = options.flags(locals())  # all of the parameters
    if seeds is not None:
        _run_or_show(_launch_seeds(seeds, preset, set_, flags, run_dir), dry_run)
    else:
        _launch_one(preset, set_, flags, run_dir, resume, dry_run)


def _launch_one(
    presets: Sequence[str],
    assignments: Sequence[str],
    flags: Flags,
    run_dir: str | None,
    resume: options.Resume,
    dry_run: bool,
) -> None:
    """Start a run, go on with it where it is there already, or show what would be started."""
    from stars_dist.config.merge import command_layers, resolve
    from stars_dist.run_files.directory import RunDirectory
    from stars_dist.run_files.same_run import find_repeated

    label = _label(presets)
    with checking_input():
        resolved = resolve(command_layers(presets, assignments, flags))
        config, path = resolved.plan.config, _path(run_dir)
        repeated = find_repeated(path, config, label) if resume is options.Resume.AUTO else None
        run = RunDirectory.unused(path, config, label) if repeated is None else repeated.run
    if dry_run:
        _show(resolved, run.path, is_new=repeated is None)
        return
    _say_how_long(resolved.plan, presets)
    if repeated is not None:
        _go_on(repeated, resolved.plan)
        return
    from stars_dist.training import start_new

    start_new(run, resolved, label)


def _go_on(repeated: Repeated, plan: RunPlan) -> None:
    """Go on with a run by the command that began it, as a scheduler does that starts it again."""
    from stars_dist.run_files.same_run import take

    with checking_input():
        run = take(repeated, print)
    if run.has_finished(plan):
        print(f"{run.path} has made its {plan.total_steps:,} steps and is evaluated; there is nothing to do")
        return
    from stars_dist.training import resume as resume_run

    print(f"{run.path} holds this run, which goes on; a new one needs another --run-dir")
    resume_run(run, plan)


def _run_or_show(trials: Sequence[Trial], dry_run: bool) -> None:
    from stars_dist.sweep.seeds import run_in_turn

    if not dry_run:
        run_in_turn(trials)
    for trial in trials if dry_run else ():
        print(f"# {trial.name}: {shlex.join(['stars-dist', *trial.command()[3:]])}")


def _say_how_long(plan: RunPlan, presets: Sequence[str]) -> None:
    """Say how long a run made for a GPU takes without one, before it starts, and what to type instead."""
    if set(presets) & SMALL_PRESETS or plan.total_updates < WORTH_TIMING_UPDATES:
        return
    from stars_dist.build.update_time import computes_on_cpu, seconds_per_update
    from stars_dist.monitor.pace import duration_words

    with checking_input():
        if not computes_on_cpu(plan):
            return
    seconds = seconds_per_update(plan)
    whole_s = seconds * plan.total_updates
    if whole_s >= WORTH_SAYING_S:
        print(
            f"without a GPU this takes about {duration_words(whole_s)}: {plan.total_updates:,} updates of "
            f"{seconds:.2g} s each. Four tasks in minutes instead: {INSTEAD}"
        )


def _label(presets: Sequence[str]) -> str:
    """Name a run's presets in reports and run directories."""
    return "+".join(map(_preset_label, presets))


def _preset_label(preset: str) -> str:
    """Name a preset; the config.yaml of a run by that run's own presets."""
    from stars_dist.run_files.directory import RunDirectory

    run = RunDirectory(Path(preset).parent)
    if Path(preset) != run.config_file or not run.provenance_file.is_file():
        return Path(preset).stem
    return str(run.read_provenance()["presets"])


def _launch_seeds(
    text: str,
    presets: Sequence[str],
    assignments: Sequence[str],
    flags: Flags,
    run_dir: str | None,
) -> list[Trial]:
    """Make the trials of --seeds, each checked as a launch of its own would be."""
    from stars_dist.config.merge import command_layers, resolve
    from stars_dist.run_files.directory import RunDirectory
    from stars_dist.sweep.seeds import parse_seeds, seed_trials
    from stars_dist.sweep.trial import check_same_run, launch_arguments

    with checking_input():
        if flags["--seed", "seed"] is not None:
            raise ValueError("--seeds takes the place of --seed, got both; leave out one")
        if flags["--checkpoint-dir", "checkpoint.directory"] is not None:
            raise ValueError(
                "--checkpoint-dir is of one run, got it with --seeds; launch each seed by itself"
            )
        seeds = parse_seeds(text)
        plans = [
            resolve(command_layers(presets, assignments, {**flags, ("--seed", "seed"): seed})).plan
            for seed in seeds
        ]
        label = _label(presets)
        place = _path(run_dir) or RunDirectory.unused(None, plans[0].config, label).path.with_suffix(".seeds")
        trials = seed_trials(place, seeds, launch_arguments(presets, assignments, flags))
        for trial, plan in zip(trials, plans, strict=True):
            check_same_run(trial, plan)
    return trials


def _path(run_dir: str | None) -> Path | None:
    """Read --run-dir, of which a shell leaves the ~ of `--run-dir=~/run` as it is."""
    if run_dir is not None and not run_dir.strip():
        raise ValueError(f"--run-dir must name a directory, got {run_dir!r}; leave it out for runs/...")
    try:
        return None if run_dir is None else Path(run_dir).expanduser()
    except RuntimeError as error:
        raise ValueError(f"--run-dir must name a directory, got {run_dir!r} ({error})") from None


def _show(resolved: ResolvedRun, path: Path, is_new: bool) -> None:
    import yaml

    what = "the run would be" if is_new else "this would go on with the run in"
    print(f"# dry run: nothing is started, nothing is written; {what} {path}")
    print("\n".join(f"# {line}" for line in resolved.plan.lines()))
    for key, origin in sorted(resolved.origins.items()):
        print(f"# {key}: from {origin}")
    print(yaml.safe_dump(resolved.plan.config.model_dump(mode="json"), sort_keys=False), end="")
