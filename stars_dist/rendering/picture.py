"""A picture of an environment, upright, from where its task is seen.

Meta-World's own camera looks from behind the arm, and its renderers of one process share a context. So its simulation
is drawn here, by a renderer of its own. Other families draw themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import mujoco as untyped_mujoco
import numpy as np
from numpy.typing import NDArray

from actors.families.metaworld import MetaWorldEnvironment
from actors.goal_environment import GoalEnvironment

mujoco: Any = untyped_mujoco  # defined in C, of which pyright knows nothing

Picture = NDArray[np.uint8]  # u8[H, W, 3]
_COSTLY = (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION)
# The table from the side, past the arm, from above: handles that face the arm are seen, too.
_LOOK_AT, _DISTANCE, _AZIMUTH, _ELEVATION = (0.0, 0.62, 0.1), 1.35, 150.0, -30.0


class Painter:
    """Draws one environment; make it by `painter`, which releases its OpenGL."""

    def __init__(self, env: GoalEnvironment, size: int, renderer: Any | None) -> None:
        self._env, self._size, self._renderer = env, size, renderer
        self._camera = mujoco.MjvCamera()
        self._camera.lookat[:], self._camera.distance = _LOOK_AT, _DISTANCE
        self._camera.azimuth, self._camera.elevation = _AZIMUTH, _ELEVATION

    def __call__(self) -> Picture:
        """Draw the environment as it is, u8[size, size, 3]."""
        if self._renderer is None:
            return _squared(np.asarray(self._env.render(), np.uint8), self._size)
        assert isinstance(self._env, MetaWorldEnvironment)
        self._renderer.update_scene(self._env.simulation[1], self._camera)
        return self._renderer.render()


@contextmanager
def painter(env: GoalEnvironment, size: int) -> Iterator[Painter]:
    """Make the painter of an environment that was built to render."""
    if not isinstance(env, MetaWorldEnvironment):
        yield Painter(env, size, None)
        return
    with mujoco.Renderer(env.simulation[0], size, size) as renderer:
        for costly in _COSTLY:  # three quarters of the time of a picture without a GPU
            renderer.scene.flags[costly] = 0
        yield Painter(env, size, renderer)


def _squared(picture: Picture, size: int) -> Picture:
    """Fit a picture into a square, with bars where it is not one."""
    from PIL import Image, ImageOps

    return np.asarray(ImageOps.pad(Image.fromarray(picture), (size, size)))
