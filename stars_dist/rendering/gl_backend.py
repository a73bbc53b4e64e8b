"""Which OpenGL MuJoCo can draw with on a machine without a screen: EGL on a GPU, then OSMesa on a CPU.

Each is tried in a process of its own, for a library that does not fit may end the process, and MuJoCo chooses once.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import NamedTuple

BACKENDS = ("egl", "osmesa")
LIBRARIES = {"egl": "libEGL", "osmesa": "libOSMesa"}
TIMEOUT_S = 120.0
_DRAW = """
import mujoco
model = mujoco.MjModel.from_xml_string("<mujoco><worldbody><light pos='0 0 3'/><geom size='1'/></worldbody></mujoco>")
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
with mujoco.Renderer(model, 64, 64) as renderer:
    renderer.update_scene(data)
    print("drawn" if renderer.render().max() > 0 else "black")
"""


class Backend(NamedTuple):
    """An OpenGL and whether it draws."""

    name: str
    failure: str | None  # one line; None where it draws

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which MuJoCo takes it, for a process that has not loaded MuJoCo yet."""
        return {"MUJOCO_GL": self.name, "PYOPENGL_PLATFORM": self.name}


def try_backends() -> list[Backend]:
    """Try the backends in turn, up to the first that draws; the one that MUJOCO_GL names, if it does, alone."""
    chosen = os.environ.get("MUJOCO_GL", "")
    tried: list[Backend] = []
    for name in [chosen] if chosen else BACKENDS:
        tried.append(Backend(name, _failure(name)))
        if tried[-1].failure is None:
            break
    return tried


def working_backend() -> Backend:
    """Find a backend that draws; ValueError with what each lacks where there is none."""
    tried = try_backends()
    if tried[-1].failure is None:
        return tried[-1]
    faults = "; ".join(f"{backend.name}: {backend.failure}" for backend in tried)
    raise ValueError(f"pictures need an OpenGL that MuJoCo can use, none works ({faults}); {remedy()}")


def remedy() -> str:
    """Say what to install."""
    return "apt-get install libosmesa6 (any CPU) or libegl1 (with a GPU's driver)"


def _failure(name: str) -> str | None:
    environment = os.environ | Backend(name, None).environment
    try:
        tried = subprocess.run(
            [sys.executable, "-c", _DRAW], env=environment, capture_output=True, text=True, timeout=TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return f"no picture within {TIMEOUT_S:.0f} s"
    if tried.stdout.strip().endswith("drawn"):  # a library may fail when it is closed; the picture counts
        return None
    if "'NoneType' object has no attribute" in tried.stderr:  # as PyOpenGL says it
        return f"{LIBRARIES.get(name, 'its library')} is not installed"
    lines = [line for line in tried.stderr.splitlines() if line.strip() and not line.startswith(" ")]
    return lines[-1].strip()[:160] if lines else f"ended with code {tried.returncode}"
