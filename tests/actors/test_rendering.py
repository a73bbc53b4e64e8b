"""Environments that draw in one process, each as it does on its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

# In a process of its own: MuJoCo chooses its OpenGL when it is imported.
DRAW = """
import numpy as np
from actors.environment import make_environment

def draws(name):
    env = make_environment(name, "mt1", seed=1, render_mode="rgb_array")
    env.reset(options={"goal": 3})
    return env

alone = {}
for name in ("push-v3", "door-open-v3"):
    env = draws(name)
    alone[name] = env.render().copy()
    env.close()
together = {name: draws(name) for name in alone}
for _ in range(2):
    for name, env in together.items():
        assert (env.render() == alone[name]).all(), f"{name} is drawn otherwise beside another"
together["push-v3"].close()
assert (together["door-open-v3"].render() == alone["door-open-v3"]).all(), "a picture changed when another closed"
sky, floor = alone["push-v3"][:40].mean(), alone["push-v3"][-40:, :100].mean()
assert sky < floor, "the picture is upside down: the dark wall is at its foot"
print("drawn")
"""
PROBE = "import mujoco; mujoco.GLContext(16, 16).make_current(); print('has OpenGL')"


def python(code: str, backend: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"MUJOCO_GL": backend}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=250, env=environment
    )


def test_two_environments_draw_in_one_process_and_upright() -> None:
    backend = next((name for name in ("egl", "osmesa") if "has OpenGL" in python(PROBE, name).stdout), None)
    if backend is None:
        pytest.skip("no OpenGL without a screen on this machine: libegl1 or libosmesa6 is missing")
    done = python(DRAW, backend)
    assert done.stdout.endswith("drawn\n"), done.stderr


def test_without_opengl_one_line_says_what_to_do() -> None:
    code = """
from actors.rendering import draw

class Broken:
    unwrapped = None
    def render(self):
        raise RuntimeError("an OpenGL platform library\\nhas not been loaded")

try:
    draw(Broken())
except RuntimeError as error:
    print(error)
"""
    (line,) = python(code, "egl").stdout.splitlines()
    assert "got an OpenGL platform library has not been loaded; set MUJOCO_GL=egl" in line
