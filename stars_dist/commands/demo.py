"""`stars-dist demo`: a first result within two minutes of the installation."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from stars_dist.errors import checking_input
from stars_dist.help_page import examples

if TYPE_CHECKING:
    from stars_dist.demo.goals import SolvedGoals
    from stars_dist.monitor.console import Console
    from stars_dist.video.shown_policy import ShownPolicy


@examples(
    "stars-dist demo",
    "stars-dist demo --goals 10 --no-video",
    "stars-dist demo --out demo --json",
)
def demo(
    goals: int = typer.Option(50, min=1, max=50, help="Goals of each task, 50 is all of them."),
    out: Path = typer.Option(Path("demo"), metavar="DIR", help="Where the video and the GIF go."),
    video: bool = typer.Option(True, help="Film the four tasks too."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON and nothing else on standard output."),
) -> None:
    """Show the trained policy that comes along: four tasks of stock Meta-World, a table, an MP4 and a GIF."""
    import sys

    from actors.cores import num_cores
    from stars_dist.demo.goals import goals_table, solve_all
    from stars_dist.demo.starter_policy import starter_policy, training_record
    from stars_dist.monitor.console import Console

    with checking_input():
        policy = starter_policy()
        files = _files(out) if video else []
    console = Console(sys.stderr if as_json else sys.stdout)
    console.phase(
        f"solving {goals} goals of each of {len(policy.suite.tasks)} tasks, with Meta-World as it is"
    )
    results = solve_all(policy, goals, min(num_cores(), len(policy.suite.tasks)), lambda _: None)
    console.line(f"\n{goals_table(results)}\n")
    note = _film(policy, files, console) if files else None
    console.close()
    if as_json:
        print(json.dumps(_to_json(results, [] if note else files, note) | {"training": training_record()}))
        return
    print("\n".join(next_lines(training_record(), [] if note else files, note)))


def _files(out: Path) -> list[Path]:
    from stars_dist.video.video_file import check_video_file

    files = [out / "starter.mp4", out / "starter.gif"]
    check_video_file(files[1])
    try:
        check_video_file(files[0])
    except ValueError:  # ffmpeg is an extra; the GIF needs none
        return files[1:]
    return files


def _film(policy: ShownPolicy, files: list[Path], console: Console) -> str | None:
    """Film the tasks; return why that could not be."""
    from stars_dist.errors import RunFailedError
    from stars_dist.rendering.gl_backend import working_backend
    from stars_dist.video.filming import Take, film

    console.phase("looking for an OpenGL that draws without a screen")
    try:
        backend = working_backend()
        film(policy, [Take(policy.suite.task_names, 0, tuple(files))], backend, console.phase)
    except (ValueError, RunFailedError) as error:
        return str(error)
    return None


def _to_json(results: list[SolvedGoals], files: list[Path], note: str | None) -> dict[str, object]:
    return {
        "tasks": [
            {"name": result.task, "success_rate": result.success_rate, "solved_at": result.solved_at}
            for result in results
        ],
        "files": [str(file) for file in files],
        "no_video": note,
    }


def next_lines(record: dict[str, object], files: list[Path], note: str | None) -> list[str]:
    """Say what was written, how the policy was trained, and what to type next."""
    lines = [f"wrote {file}" for file in files]
    lines += [f"no video: {note}"] if note else []
    return [
        *lines,
        f"trained by: {record['command']}",
        "",
        "next:",
        "  stars-dist launch --suite starter --preset laptop --actors 4 --steps 100000",
        "  stars-dist runs",
        f"  stars-dist video demo --task {shlex.quote('reach-v3')} --goal 7",
    ]
