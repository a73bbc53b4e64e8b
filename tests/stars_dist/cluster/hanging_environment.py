"""A Gymnasium environment whose step hangs once, in C and with the interpreter's lock held, as a simulation may."""

from __future__ import annotations

import ctypes
import os
import signal
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

HANGS_IN_STEP = 300


class HangsOnce(gymnasium.Env):
    """Hangs unless the file named by HANG_MARKER exists, which it makes before."""

    observation_space = spaces.Box(-1, 1, (2,))
    action_space = spaces.Box(-1, 1, (1,))
    steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        return np.zeros(2), {}

    def step(self, action: np.ndarray) -> Any:
        self.steps += 1
        marker = Path(os.environ["HANG_MARKER"])
        if self.steps == HANGS_IN_STEP and not marker.exists():
            marker.touch()
            ctypes.PyDLL(None).pause()
        return np.zeros(2), 0.0, False, False, {}


class FreezesOnce(HangsOnce):
    """Stops the first actor's process that builds it, before its first heartbeat."""

    def __init__(self) -> None:
        marker = Path(os.environ["HANG_MARKER"])
        if b"RolloutProcess" in Path("/proc/self/cmdline").read_bytes() and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGSTOP)


class FailsOnceMarked(HangsOnce):
    """Raises in every step from when the file named by HANG_MARKER exists."""

    def step(self, action: np.ndarray) -> Any:
        if Path(os.environ["HANG_MARKER"]).exists():
            raise RuntimeError("the simulation blew up")
        return np.zeros(2), 0.0, False, False, {}


gymnasium.register("FreezesOnce-v0", lambda **_: FreezesOnce(), max_episode_steps=50)
gymnasium.register("FailsOnceMarked-v0", lambda **_: FailsOnceMarked(), max_episode_steps=50)
gymnasium.register("HangsOnce-v0", lambda **_: HangsOnce(), max_episode_steps=50)
