"""The board on which the first learner of a run posts what all are to draw."""

from __future__ import annotations

import json
import time

import numpy as np
from torch.distributed.distributed_c10d import PrefixStore, Store

from replay_service.shared_draws import Draw

KEPT = 64  # newest draws: nobody is further behind, as every update waits for all
_POLL_S = 0.003


class StoreBoard:
    """Draws in the store where the learners met; `replay_service/shared_draws.py:DrawBoard`.

    JSON and no pickles: whoever reaches the port of the store can write there.
    """

    def __init__(self, store: Store) -> None:
        """Take a connection that no other thread uses."""
        self._store = PrefixStore("draws", store)

    def post(self, number: int, draw: Draw) -> None:
        """Post a draw, and forget one that all have read."""
        self._store.set(str(number), json.dumps([draw.quota.tolist(), *draw[1:]]))
        if number >= KEPT:
            self._store.delete_key(str(number - KEPT))

    def read(self, number: int, timeout_s: float) -> Draw | None:
        """Return a draw, or None if it was not posted in time."""
        key, end = str(number), time.monotonic() + timeout_s
        while not self._store.check([key]):  # its own wait would log every time-out
            if time.monotonic() >= end:
                return None
            time.sleep(_POLL_S)
        quota, *rest = json.loads(self._store.get(key))
        return Draw(np.array(quota, np.int64), *rest)
