"""Distributed multi-task reinforcement learning; the names of stars_dist.api are here, loaded when asked for."""

from typing import Any

__version__ = "0.1.0"
__all__ = ["Run", "load_policy", "make_env", "train"]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'stars_dist' has no attribute {name!r}")
    from importlib import import_module  # the command line must not load numpy for its version

    return getattr(import_module("stars_dist.api"), name)
