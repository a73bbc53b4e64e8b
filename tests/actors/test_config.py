"""Wrong values and unknown keys are refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from actors.config import ActorsConfig


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_actors": 0},
        {"chunk_steps": 0},
        {"warmup_actions": "none"},
        {"max_policy_lag": -1},
        {"threads": 2},
    ],
)
def test_wrong_configuration(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ActorsConfig(**wrong)
