"""Values as a configuration's fields take them: counts like 100k for whole numbers, and no booleans for numbers."""

from __future__ import annotations

import re
import types
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

_COUNT = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?(?:[eE][+]?[0-9]+)?)(?P<unit>[kKM]?)$")
_UNITS = {"": 1, "k": 1_000, "K": 1_000, "M": 1_000_000}


def parse_count(text: str) -> int | None:
    """Read a count: 1200, 1e6, 100k or 20M; None for any other text, and for one that is no whole number."""
    match = _COUNT.match(text)
    if match is None or (
        match["number"].isdigit() and len(match["number"]) > 1 and match["number"][0] == "0"
    ):
        return None
    count = float(match["number"]) * _UNITS[match["unit"]]
    return int(count) if count.is_integer() else None


def field_type(model: type[BaseModel], path: Sequence[str]) -> Any:
    """Find the annotation of the field at a path; None where there is none."""
    annotation: Any = model
    for part in path:
        below = [
            kind for kind in base_types(annotation) if isinstance(kind, type) and issubclass(kind, BaseModel)
        ]
        field = below[0].model_fields.get(part) if below else None
        if field is None:
            return None
        annotation = field.annotation
    return annotation


def base_types(annotation: Any) -> set[Any]:
    """List the plain types that a value of an annotation may have; those of its elements, where it is a sequence."""
    origin = get_origin(annotation)
    if origin is None:
        return {annotation}
    if origin is Literal:
        return {type(value) for value in get_args(annotation)}
    parts = get_args(annotation)[:1] if origin is Annotated else get_args(annotation)
    if origin in (Annotated, Union, types.UnionType, tuple, list):
        return {kind for part in parts for kind in base_types(part)}
    return {origin}


def fitted(value: Any, annotation: Any) -> Any:
    """Return a value as the field takes it.

    Raises:
        ValueError: a boolean is given where a number is asked; the message goes on from the name of the field.
    """
    kinds = base_types(annotation)
    if isinstance(value, list):
        return [fitted(element, annotation) for element in value]
    if isinstance(value, bool) and kinds & {int, float} and not kinds & {bool, str}:
        raise ValueError(f"must be a number, got {str(value).lower()}; give the number")
    if isinstance(value, str) and int in kinds and str not in kinds:
        return _count_or_text(value)
    return value


def _count_or_text(text: str) -> int | str:
    """Return a count; text that is none as it is, so that the field itself says what it asks for."""
    if re.fullmatch(r"0[0-9]+", text):
        raise ValueError(f"must be written in plain decimals, got {text}; leave the leading 0 out")
    count = parse_count(text)
    return text if count is None else count
