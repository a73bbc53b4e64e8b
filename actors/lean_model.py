"""Loads a MuJoCo model without its textures: the same physics in a quarter of the memory.

A Meta-World model comes with tens of megabytes of pictures, and MuJoCo keeps the source of the model that it
read last. An environment that never draws needs neither. Everything that the simulation reads is equal to the
last bit (tests/actors/test_lean_model.py compares every array).
"""

from __future__ import annotations

import ctypes
from typing import Any


def lean_class(environment_class: type) -> type:
    """The same environment of Gymnasium's MuJoCo family, built without textures; it cannot render."""
    return type(
        environment_class.__name__, (environment_class,), {"_initialize_simulation": _initialize_simulation}
    )


def _initialize_simulation(environment: Any) -> tuple[Any, Any]:
    from mujoco import MjData, MjSpec  # pyright: ignore[reportAttributeAccessIssue] -- defined in C

    spec: Any = MjSpec.from_file(environment.fullpath)
    for material in spec.materials:
        material.textures = [""] * len(material.textures)
    for texture in list(spec.textures):
        texture.delete()
    model = spec.compile()
    return model, MjData(model)


def release_freed_memory() -> None:
    """Gives back to the system what compiling a model allocated and freed: about 30 MB an actor, with glibc."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
