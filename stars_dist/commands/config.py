"""`stars-dist config`: what a configuration is, what tells two apart, and whether one is valid."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from stars_dist.errors import checking_input
from stars_dist.help_page import CommandWithExamples, examples

if TYPE_CHECKING:
    from stars_dist.config.merge import ResolvedRun

AS_JSON = typer.Option(False, "--json", help="Print JSON and nothing else on standard output.")
SOURCE_HELP = "A run directory, a FILE.yaml, or presets as NAME or NAME+NAME."

config = typer.Typer(help="Show, compare and check configurations.", rich_markup_mode=None)


@config.callback(invoke_without_command=True)
def which(context: typer.Context) -> None:
    """Show the help where no command is named."""
    if context.invoked_subcommand is None:
        print(context.get_help())


@config.command(cls=CommandWithExamples)
@examples(
    "stars-dist config show stars+laptop",
    "stars-dist config show runs/first",
    "stars-dist config show --key sac.gamma laptop",
)
def show(
    source: str = typer.Argument("stars", metavar="[SOURCE]", help=SOURCE_HELP),
    key: str | None = typer.Option(None, metavar="KEY.SUBKEY", help="Print one value, or one section."),
    as_json: bool = AS_JSON,
) -> None:
    """Show a resolved configuration, with the origin of each value that is no default."""
    import yaml

    from stars_dist.run_files.config_source import annotated_yaml

    with checking_input():
        resolved = _read(source)
        if key is not None:
            value = _value(resolved, key)
            print(
                json.dumps(value)
                if as_json
                else yaml.safe_dump(value, sort_keys=False).removesuffix("...\n"),
                end="" if not as_json else "\n",
            )
            return
    if as_json:
        print(
            json.dumps({"config": resolved.plan.config.model_dump(mode="json"), "origins": resolved.origins})
        )
    else:
        print(annotated_yaml(resolved))


@config.command(cls=CommandWithExamples)
@examples(
    "stars-dist config diff stars mtsac",
    "stars-dist config diff runs/a runs/b",
    "stars-dist config diff stars+laptop runs/first --json",
)
def diff(
    first: str = typer.Argument(metavar="A", help=SOURCE_HELP),
    second: str = typer.Argument(metavar="B", help="As A."),
    as_json: bool = AS_JSON,
) -> None:
    """Show the keys whose values differ between two configurations."""
    from stars_dist.run_files.config_source import differences

    with checking_input():
        found = differences(_read(first), _read(second))
    if as_json:
        print(json.dumps({key: list(pair) for key, pair in found.items()}))
        return
    width = max(map(len, found), default=0)
    for key, (one, other) in found.items():
        print(f"{key:{width}}  {_text(one)} -> {_text(other)}")
    if not found:
        print(f"{first} and {second} resolve to the same configuration")


@config.command(cls=CommandWithExamples)
@examples(
    "stars-dist config validate mine.yaml",
    "stars-dist config validate runs/first/config.yaml --json",
)
def validate(
    files: list[Path] = typer.Argument(metavar="FILE.yaml...", help="Preset files, or config.yaml of runs."),
    as_json: bool = AS_JSON,
) -> None:
    """Check configuration files without starting anything; exit code 2 and one line for the first that is wrong."""
    with checking_input():
        for file in files:
            if not file.is_file():
                raise ValueError(f"validate must be given files, got {file}; check the path")
            try:
                resolved = _read(str(file))
            except ValueError as error:
                raise ValueError(f"{file}: {error}") from None
            if not as_json:
                print(f"{file} is valid: {'; '.join(resolved.plan.lines())}")
    if as_json:
        print(json.dumps({"valid": [str(file) for file in files]}))


def _read(source: str) -> ResolvedRun:
    from stars_dist.run_files.config_source import read_source

    return read_source(source)


def _value(resolved: ResolvedRun, key: str) -> object:
    from actors.near_name import did_you_mean
    from stars_dist.run_files.config_source import values_of

    value: object = resolved.plan.config.model_dump(mode="json")
    for part in key.split("."):
        if not isinstance(value, dict) or part not in value:
            near = did_you_mean(key, values_of(resolved))
            raise ValueError(f"unknown key '{key}'{near}; `stars-dist config show` lists all")
        value = value[part]
    return value


def _text(value: object) -> str:
    return "(none)" if value is None else json.dumps(value)
