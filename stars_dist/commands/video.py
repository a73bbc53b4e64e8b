"""`stars-dist video`: see what a policy does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from stars_dist.errors import checking_input
from stars_dist.help_page import examples

if TYPE_CHECKING:
    from stars_dist.video.filming import Take
    from stars_dist.video.shown_policy import ShownPolicy

DEMO = "demo"
SHOWN, FILES = "What is shown", "What is written"


@examples(
    "stars-dist video demo --grid                        # the policy that comes with the package",
    "stars-dist video runs/first                         # its three worst tasks, a file each",
    "stars-dist video runs/first --task push-v3 --task reach-v3 --goal 7 --gif",
    "stars-dist video runs/first --worst 9 --grid --out worst.mp4",
)
def video(
    target: str = typer.Argument(
        metavar="RUN|CHECKPOINT|demo", help="Whose policy; demo: the package's own."
    ),
    task: list[str] = typer.Option(
        [], metavar="TASK", help="A task to show; repeatable.  [default: see --worst]", rich_help_panel=SHOWN
    ),
    worst: int | None = typer.Option(
        None,
        metavar="N",
        help="The N worst tasks of the run's last evaluation.  [default: 3]",
        rich_help_panel=SHOWN,
    ),
    goal: int = typer.Option(0, min=0, metavar="N", help="Which of the task's goals.", rich_help_panel=SHOWN),
    grid: bool = typer.Option(
        False, "--grid", help="All tasks side by side in one video.", rich_help_panel=FILES
    ),
    gif: bool = typer.Option(False, "--gif", help="GIF instead of MP4.", rich_help_panel=FILES),
    out: Path | None = typer.Option(
        None,
        metavar="FILE|DIR",
        help="A file for one video, else a directory.  [default: RUN/videos]",
        rich_help_panel=FILES,
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON and nothing else on standard output."),
) -> None:
    """Film episodes, with task, return and outcome in the picture. Needs no screen."""
    import sys

    from stars_dist.errors import RunFailedError
    from stars_dist.monitor.console import Console
    from stars_dist.rendering.gl_backend import working_backend
    from stars_dist.video.filming import film

    with checking_input():
        policy = _policy(target)
        takes = _takes(policy, _tasks(policy, target, task, worst), goal, grid, _places(target, out, gif))
        backend = working_backend()
    console = Console(sys.stderr)
    try:
        scenes = film(policy, takes, backend, console.phase)
    except RunFailedError as error:
        console.error(f"error: {error}")
        raise typer.Exit(1) from error
    finally:
        console.close()
    files = [str(file) for take in takes for file in take.files]
    if as_json:
        print(json.dumps({"files": files, "backend": backend.name, "scenes": [s._asdict() for s in scenes]}))
        return
    for scene in scenes:
        print(f"{scene.task:32s} {scene.outcome}, return {scene.return_:,.0f} over {scene.steps} steps")
    print("\n".join(f"wrote {file}" for file in files))


def _policy(target: str) -> ShownPolicy:
    from stars_dist.demo.starter_policy import starter_policy
    from stars_dist.video.shown_policy import read_shown_policy

    return starter_policy() if target == DEMO else read_shown_policy(Path(target))


def _tasks(policy: ShownPolicy, target: str, tasks: list[str], worst: int | None) -> list[str]:
    from stars_dist.video.worst_tasks import worst_tasks

    if tasks and worst is not None:
        raise ValueError("--worst chooses the tasks, got --task too; leave out one")
    if worst is not None and worst < 1:
        raise ValueError(f"--worst must be at least 1, got {worst}")
    if tasks:
        return [policy.suite.task(name).name for name in tasks]
    if target == DEMO:
        return list(policy.suite.task_names)
    return worst_tasks(Path(target), policy.suite.task_names, 3 if worst is None else worst)


def _places(target: str, out: Path | None, gif: bool) -> tuple[Path, str]:
    """Choose directory or file, and the kind of file."""
    suffix = ".gif" if gif else ".mp4"
    if out is not None and out.suffix in (".gif", ".mp4"):
        return out, out.suffix
    base = Path("videos") if target == DEMO else Path(target) / "videos"
    return out or base, suffix


def _takes(
    policy: ShownPolicy, tasks: list[str], goal: int, grid: bool, places: tuple[Path, str]
) -> list[Take]:
    from stars_dist.video.filming import Take
    from stars_dist.video.video_file import check_video_file

    place, suffix = places
    if grid or len(tasks) == 1:
        name = f"grid{suffix}" if grid else f"{tasks[0]}{suffix}"
        takes = [Take(tuple(tasks), goal, (place if place.suffix == suffix else place / name,))]
    elif place.suffix == suffix:
        raise ValueError(
            f"--out must name a directory for {len(tasks)} videos, got {place}; use --grid for one"
        )
    else:
        takes = [Take((name,), goal, (place / f"{name}{suffix}",)) for name in tasks]
    if not 0 <= goal < policy.environment.num_goals:
        raise ValueError(f"--goal must be from 0 to {policy.environment.num_goals - 1}, got {goal}")
    for take in takes:
        for file in take.files:
            check_video_file(file)
    return takes
