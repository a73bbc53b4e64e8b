"""The help page of a command: its options in groups, and examples that can be typed as they stand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from typer.core import TyperCommand

Command = TypeVar("Command", bound=Callable[..., Any])

OPTIONS = "Options"


def examples(*lines: str) -> Callable[[Command], Command]:
    """Give a command the examples of its help page: command lines, each with `# what it does` after it."""

    def attach(command: Command) -> Command:
        setattr(command, "examples", lines)  # noqa: B010 -- a function has no such attribute for pyright
        return command

    return attach


class CommandWithExamples(TyperCommand):
    """A command whose help has a section per `rich_help_panel` of its options, and its examples at the end.

    Plain text: it answers sooner than typer's own panels, and reads the same in a pipe.
    """

    @property
    def examples(self) -> tuple[str, ...]:
        """The examples that `examples` gave to the command's function."""
        return getattr(self.callback, "examples", ())

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments, then each group of options; those of no group last, with --help."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                groups.setdefault(_group(param), []).append(record)
        groups[OPTIONS] = groups.pop(OPTIONS, [])
        for name, records in groups.items():
            with formatter.section(name):
                formatter.write_dl(records)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples."""
        if self.examples:
            with formatter.section("Examples"):
                for line in self.examples:
                    formatter.write(f"{'':{formatter.current_indent}}{line}\n")


def _group(param: Any) -> str:
    if param.param_type_name == "argument":
        return "Arguments"
    return getattr(param, "rich_help_panel", None) or OPTIONS
