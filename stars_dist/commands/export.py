"""`stars-dist export`: a trained policy for programs that know nothing of this project."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path

import typer

from stars_dist.errors import RunFailedError, checking_input
from stars_dist.help_page import examples


class FileFormat(StrEnum):
    """What the policy is exported as."""

    ONNX = "onnx"
    TORCHSCRIPT = "torchscript"
    SAFETENSORS = "safetensors"


@examples(
    "stars-dist export runs/first --format onnx",
    "stars-dist export runs/first --format torchscript --task reach-v3 --out reach.pt",
    "stars-dist export runs/first --format safetensors --json",
)
def export(
    target: Path = typer.Argument(metavar="RUN|CHECKPOINT", help="Run directory or one of its checkpoints."),
    file_format: FileFormat = typer.Option(FileFormat.ONNX, "--format", help="What to write."),
    task: str | None = typer.Option(
        None,
        metavar="TASK",
        help="This task's policy alone, smaller and without a task input.  [default: all]",
    ),
    out: Path | None = typer.Option(None, metavar="FILE", help="[default: RUN/policy[-TASK].<format>]"),
    as_json: bool = typer.Option(False, "--json", help="Print JSON and nothing else on standard output."),
) -> None:
    """Export the policy's mode action; the file is checked against the policy to 1e-5 before it is written."""
    from stars_dist.export.exported_policy import read_exported
    from stars_dist.export.policy_file import SUFFIXES, write_policy_file

    with checking_input():
        policy = read_exported(target, task)
        place = target if target.is_dir() else target.parent
        name = "policy" if task is None else f"policy-{task}"
        try:
            written = write_policy_file(
                policy, file_format.value, out or place / f"{name}{SUFFIXES[file_format.value]}"
            )
        except RunFailedError as error:
            raise _failed(error) from error
    if as_json:
        print(json.dumps(written.to_json()))
        return
    inputs = ", ".join(f"{key} {what}" for key, what in written.inputs.items())
    print(f"wrote {written.file}, {written.size_bytes / 1e3:,.0f} kB")
    print(f"inputs: {inputs}; output: action f32[N, {policy.metadata.action_dim}] in [-1, 1]")
    print(f"tasks: {', '.join(f'{i} {name}' for i, name in enumerate(written.tasks))}")
    print(f"checked: its actions are the policy's to {written.greatest_deviation:.1e}")


def _failed(error: RunFailedError) -> typer.Exit:
    import sys

    print(f"error: {error}", file=sys.stderr)
    return typer.Exit(1)
