"""Gymnasium environments that fail in evaluations: by an exception, a hang, a death; the last one always hangs."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces


class Troubled(gymnasium.Env):
    """Meets each trouble once, over all processes: FAILING_MARKERS is where it notes which it has had."""

    observation_space = spaces.Box(-1, 1, (2,))
    action_space = spaces.Box(-1, 1, (1,))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        return np.zeros(2), {}

    def step(self, action: np.ndarray) -> Any:
        if self._is_new("raises"):
            raise RuntimeError("the simulation blew up")
        if self._is_new("hangs"):
            ctypes.PyDLL(None).pause()  # in C and with the interpreter's lock held
        if self._is_new("dies"):
            os.kill(os.getpid(), signal.SIGKILL)
        return np.zeros(2), 1.0, False, False, {}

    def _is_new(self, trouble: str) -> bool:
        marker = Path(os.environ["FAILING_MARKERS"]) / trouble
        if marker.exists():
            return False
        marker.touch()
        return True


class Stuck(Troubled):
    """Waits for ever in each step, while the process answers."""

    def step(self, action: np.ndarray) -> Any:
        time.sleep(10_000)


gymnasium.register("Troubled-v0", lambda **_: Troubled(), max_episode_steps=5)
gymnasium.register("Stuck-v0", lambda **_: Stuck(), max_episode_steps=5)
