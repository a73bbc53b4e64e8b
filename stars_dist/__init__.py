"""Distributed multi-task reinforcement learning; the names of stars_dist.api are here, loaded when asked for.

After `import gymnasium`, the import makes Meta-World's tasks known to it: `gym.make("stars-dist/push-v3")`. Before it,
the first of those names does.
"""

import sys
from importlib import import_module
from typing import Any

__version__ = "0.1.0"
__all__ = ["Run", "load_policy", "make_env", "train"]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'stars_dist' has no attribute {name!r}")
    # only now: the command line must not load numpy for its version
    return getattr(import_module("stars_dist.api"), name)


if "gymnasium" in sys.modules:  # the command line must not load it for its help
    import_module("actors.registration").register()
