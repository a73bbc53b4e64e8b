"""Drawing of environments that MuJoCo simulates: several in one process, each in an OpenGL context of its own."""

from __future__ import annotations

from typing import Any

NO_OPENGL = (
    "drawing needs an OpenGL that MuJoCo can use, got {cause}; set MUJOCO_GL=egl or MUJOCO_GL=osmesa before "
    "the program starts, with libegl1 or libosmesa6 installed"
)


def draw(env: Any) -> Any:
    """Draw an environment as its library does.

    Its viewer's context is made current first: the library does that once, when it makes the viewer, so that the
    next environment that draws would take over the context, and this one's pictures with it.

    Raises:
        RuntimeError: there is no OpenGL to draw with.
    """
    make_context_current(env)
    try:
        return env.render()
    except Exception as error:
        if not _is_about_opengl(error):
            raise
        raise RuntimeError(NO_OPENGL.format(cause=" ".join(str(error).split()))) from None


def close(env: Any) -> None:
    """Close an environment; its viewer is freed in its own context."""
    make_context_current(env)
    env.close()


def make_context_current(env: Any) -> None:
    """Make the context of an environment's viewer current, where it has one."""
    viewer = getattr(getattr(env.unwrapped, "mujoco_renderer", None), "viewer", None)
    if viewer is not None and hasattr(viewer, "make_context_current"):
        viewer.make_context_current()


def _is_about_opengl(error: Exception) -> bool:
    words = str(error).lower()
    return any(word in words for word in ("opengl", "egl", "glfw", "osmesa", "mjr_", "display"))
