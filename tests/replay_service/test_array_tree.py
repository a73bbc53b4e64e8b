"""Nested states survive their files to the last bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from replay_service.array_tree import read_tree, write_tree


def test_a_state_comes_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    state = {
        "rng": rng.bit_generator.state,
        "rows": [np.arange(6, dtype=np.float32).reshape(2, 3), np.array([], np.int64)],
        "record": np.array((1, 2.5), np.dtype([("a", "i8"), ("b", "f8")])),
        "nothing": None,
        "rate": 0.1 + 0.2,
        "unknown": float("nan"),
    }
    write_tree(tmp_path, "state", state)
    found = read_tree(tmp_path, "state")
    assert found.keys() == state.keys()
    assert found["rng"] == state["rng"] and found["rate"] == state["rate"] and found["nothing"] is None
    assert np.isnan(found["unknown"])
    assert found["rows"][0].dtype == np.float32 and found["rows"][1].shape == (0,)
    np.testing.assert_array_equal(found["rows"][0], state["rows"][0])
    assert found["record"] == state["record"]
