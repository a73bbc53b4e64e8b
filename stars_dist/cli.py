"""The command line: `stars-dist launch | resume | evaluate | features | tasks | report | replay | bench | chaos`.

Bad input is one line on standard error and exit code 2. Ray, torch and Meta-World are imported by the
commands that need them, so that help and errors answer at once.
"""

from __future__ import annotations

import contextlib
import io
import logging
import sys

import typer

from stars_dist import __version__
from stars_dist.commands.bench import bench
from stars_dist.commands.chaos import chaos
from stars_dist.commands.config import config
from stars_dist.commands.demo import demo
from stars_dist.commands.doctor import doctor
from stars_dist.commands.evaluate import evaluate
from stars_dist.commands.export import export
from stars_dist.commands.features import features
from stars_dist.commands.launch import launch
from stars_dist.commands.presets import presets
from stars_dist.commands.replay import replay
from stars_dist.commands.report import report
from stars_dist.commands.resume import resume
from stars_dist.commands.runs import runs
from stars_dist.commands.status import status
from stars_dist.commands.sweep import sweep
from stars_dist.commands.tasks import tasks
from stars_dist.commands.video import video
from stars_dist.errors import RunFailedError, one_line
from stars_dist.help_page import CommandWithExamples
from stars_dist.monitor.console import discard_unwritten

app = typer.Typer(
    help="Distributed multi-task reinforcement learning: STARS on Meta-World.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    demo,
    launch,
    resume,
    status,
    runs,
    evaluate,
    report,
    features,
    video,
    sweep,
    export,
    doctor,
    tasks,
    presets,
    chaos,
):
    app.command(cls=CommandWithExamples)(command)
app.add_typer(config, name="config")
app.add_typer(bench, name="bench")
app.add_typer(replay, name="replay")


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context, version: bool = typer.Option(False, "--version", help="Show the version.")
) -> None:
    """Show version or help where no command is named."""
    if version:
        print(f"stars-dist {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())


def main() -> None:
    """Run the program and exit with its code: 0 done, 1 failed, 2 bad input, 130 interrupted."""
    _accept_any_text()
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # of its caches, in a home that is none
    try:
        code = app(prog_name="stars-dist", standalone_mode=False)
    except typer.TyperException as error:
        with contextlib.suppress(OSError):  # the exit code says it too
            print(one_line(error), file=sys.stderr)
        code = error.exit_code
    except RunFailedError as error:  # of a benchmark; a run of this program itself has said so
        with contextlib.suppress(OSError):
            print(f"error: {error}", file=sys.stderr)
        code = 1
    except (typer.Abort, KeyboardInterrupt):
        code = 130
    except BrokenPipeError:  # the reader of the output has ended, as `head` does
        code = 1
    except OSError as error:  # of a file or a disk, which the system's own words name
        with contextlib.suppress(OSError):
            print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        code = 1
    sys.exit(code if _flush() else code or 1)


def _accept_any_text() -> None:
    """Print what the terminal's encoding does not have as an escape, instead of failing there."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _flush() -> bool:
    """Write the rest of the output here, where a failure is no traceback; return whether all was written."""
    is_written = True
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            discard_unwritten(stream)
            is_written = False
    return is_written


if __name__ == "__main__":
    sys.argv[0] = "stars-dist"  # as in `python -m stars_dist`
    main()
