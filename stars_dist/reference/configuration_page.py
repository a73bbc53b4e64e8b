"""docs/configuration.md: every key of a run's configuration, from the pydantic models."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from stars_dist.config.run_config import RunConfig
from stars_dist.reference.table import code, table

INTRODUCTION = """\
Every key can be given as `--set key.subkey=value`, in a YAML file as `--preset FILE.yaml`, or, where it says so, by a
flag. The last one given wins: defaults, then presets in their order, then `--set`, then flags. `null` means: chosen
for the suite when the run is planned. Whole numbers may be written as 1e6, 100k or 20M.

    stars-dist config show stars+laptop             # all values, each with its origin
    stars-dist config show --key sac.gamma laptop   # one of them
    stars-dist config diff stars mtsac              # what tells two apart
    stars-dist config validate docs/examples/mine.yaml

The defaults are those of the method STARS at its published size; [algorithm](algorithm.md#constants) has the source
of each, and `stars-dist presets` lists what changes them. A file of your own holds what differs:

```yaml
--8<-- EXAMPLE
```
"""


def configuration_page(example: str) -> str:
    """Write the page, with a preset file of one's own as an example."""
    lines = ["# Configuration", "", INTRODUCTION.replace("--8<-- EXAMPLE", example.strip())]
    lines += ["## The run", "", *_section(RunConfig, "")]
    for key, model in _models(RunConfig, ""):
        lines += [f"## {key}", "", _summary(model), "", *_section(model, f"{key}.")]
    return "\n".join(lines)


def _models(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, type[BaseModel]]]:
    for name, field in model.model_fields.items():
        if (inner := _model_of(field)) is not None:
            yield f"{prefix}{name}", inner
            yield from _models(inner, f"{prefix}{name}.")


def _model_of(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _summary(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().split("\n")[0]


def _section(model: type[BaseModel], prefix: str) -> list[str]:
    rows = [
        (code(f"{prefix}{name}"), code(_default(field)), _values(field), field.description or "")
        for name, field in model.model_fields.items()
        if _model_of(field) is None
    ]
    return [*table(("key", "default", "values", "what"), rows), ""]


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    return json.dumps(list(value) if isinstance(value, tuple) else value)


def _values(field: FieldInfo) -> str:
    bounds = [_bound(one) for one in field.metadata]
    return ", ".join(filter(None, [_kind(field.annotation), *bounds]))


def _bound(metadata: Any) -> str:
    """Say a bound in words; most kinds of metadata are none."""
    match metadata:
        case Ge(ge=value):
            return f"at least {_number(value)}"
        case Gt(gt=value):
            return f"above {_number(value)}"
        case Le(le=value):
            return f"at most {_number(value)}"
        case Lt(lt=value):
            return f"below {_number(value)}"
    return ""


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _kind(annotation: Any) -> str:
    """Say a type in the words of YAML."""
    arguments = get_args(annotation)
    if get_origin(annotation) is Literal:
        return " or ".join(code(str(one)) for one in arguments)
    if get_origin(annotation) in (Union, UnionType):
        return " or ".join(_kind(one) for one in arguments)
    if get_origin(annotation) is tuple:
        return f"list of {_kind(arguments[0]).replace('number, ', 'numbers ')}"
    if hasattr(annotation, "__metadata__"):  # Annotated
        return ", ".join(filter(None, [_kind(arguments[0]), *map(_bound, annotation.__metadata__)]))
    words = {bool: "true or false", int: "whole number", float: "number", str: "text", NoneType: "null"}
    return words.get(annotation) or re.sub(r"^.*\.", "", str(annotation))
