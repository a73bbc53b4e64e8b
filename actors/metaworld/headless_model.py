"""The headless model: a MuJoCo model without what only drawing needs, faster to load and to step, and smaller.

A Meta-World model comes with tens of megabytes of pictures and with the arm's shells, meshes of 67,000 triangles
that touch nothing. Every physics step clears a mark for each node of the shells' bounding volumes, 130 kB, and the
compiler works on them longer than on all the rest. An environment that never draws needs none of it. The compiler's own
`discardvisual` also drops geoms that tasks read by name. Everything that the simulation reads is equal to the last
bit (tests/actors/metaworld/test_headless_model.py compares the arrays).
"""

from __future__ import annotations

import ctypes
from typing import Any


def headless_class(environment_class: type) -> type:
    """Derive a class of the same environment, one of Gymnasium's MuJoCo family, that cannot render."""
    return type(
        environment_class.__name__, (environment_class,), {"_initialize_simulation": _initialize_simulation}
    )


def _initialize_simulation(environment: Any) -> tuple[Any, Any]:
    from mujoco import MjData, MjSpec  # pyright: ignore[reportAttributeAccessIssue] -- defined in C

    spec: Any = MjSpec.from_file(environment.fullpath)
    for material in spec.materials:
        material.textures = [""] * len(material.textures)
    only_drawn = [geom for geom in spec.geoms if _is_only_drawn(geom)]
    for element in (*spec.textures, *spec.cameras, *spec.lights, *only_drawn):
        element.delete()
    meshes = {geom.meshname for geom in spec.geoms}
    for mesh in [mesh for mesh in spec.meshes if mesh.name not in meshes]:
        mesh.delete()
    model = spec.compile()
    return model, MjData(model)


def _is_only_drawn(geom: Any) -> bool:
    """Return whether nothing collides with the geom, no task reads it by name and its body's inertia is given."""
    return not (geom.contype or geom.conaffinity or geom.name) and bool(geom.parent.explicitinertial)


def release_freed_memory() -> None:
    """Return to the system what compiling a model allocated and freed: about 30 MB per actor, with glibc."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
