"""How much memory a mirror of the replay needs, computed without torch."""

from __future__ import annotations

from replay_service.rows import row_dtype
from replay_service.types import TransitionSpec

FAN_OUT = 64  # children of a node of the mirror's sum tree: three levels hold 262,144 leaves
_PRIORITY_BYTES, _FLAG_BYTES = 8, 1


def mirror_bytes(spec: TransitionSpec, capacity: int) -> int:
    """Return the memory that a mirror needs: rows, priorities, their trees and a flag."""
    row = row_dtype(spec).itemsize + _PRIORITY_BYTES + _FLAG_BYTES
    return spec.num_tasks * (capacity * row + _PRIORITY_BYTES * sum(level_widths(capacity)))


def level_widths(num_leaves: int) -> list[int]:
    """Return the entries of each level of a tree, from the leaves to the children of the root, multiples of FAN_OUT."""
    widths = [_whole_nodes(num_leaves)]
    while widths[-1] > FAN_OUT:
        widths.append(_whole_nodes(widths[-1] // FAN_OUT))
    return widths


def _whole_nodes(entries: int) -> int:
    return -(-entries // FAN_OUT) * FAN_OUT
