"""Success rates over the newest episodes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from replay_service.episode_history import EPISODE_DTYPE, HISTORY, EpisodeHistory, pack_episodes
from replay_service.storage import Storage
from replay_service.types import EpisodeEnd


def ends(successes: Sequence[bool | None], first_return: float = 0.0) -> list[EpisodeEnd]:
    return [EpisodeEnd(0, first_return + i, 10, success, 0) for i, success in enumerate(successes)]


def test_nan_before_the_first_episode() -> None:
    history = EpisodeHistory(2, 20, Storage(None))
    history.write(1, 1, pack_episodes(ends([True])))
    np.testing.assert_array_equal(history.success_rate, [np.nan, 1.0])


def test_only_the_window_counts() -> None:
    history = EpisodeHistory(1, 3, Storage(None))
    history.write(0, 4, pack_episodes(ends([True, True, True, False])))
    assert history.success_rate[0] == pytest.approx(2 / 3)
    assert history.mean_return[0] == 2.0
    history.write(0, 6, pack_episodes(ends([False, False], 4.0)))
    assert history.success_rate[0] == 0.0 and history.mean_return[0] == 4.0


def test_a_repeated_write_changes_nothing_and_more_than_the_history_wraps() -> None:
    history = EpisodeHistory(1, 128, Storage(None))
    newest = pack_episodes(ends([False] * 50 + [True] * HISTORY))
    for _ in range(2):
        history.write(0, 178, newest)
    assert history.count[0] == 178 and history.success_rate[0] == 1.0


@pytest.mark.parametrize(
    ("successes", "rate"),
    [
        pytest.param([None, None], np.nan, id="no flag"),
        pytest.param([True, None, None], 1.0, id="one flag in the window"),
        pytest.param([True, False, None], 0.5, id="unknown ones do not count"),
        pytest.param([True, None, None, None], np.nan, id="the flag has left the window"),
    ],
)
def test_unknown_success_is_left_out_of_the_rate(successes: list[bool | None], rate: float) -> None:
    history = EpisodeHistory(1, 3, Storage(None))
    for count, success in enumerate(successes, start=1):
        history.write(0, count, pack_episodes(ends([success])))
    np.testing.assert_equal(history.success_rate[0], rate)
    assert history.mean_return[0] == 0.0


def test_known_success_is_stored_as_before() -> None:
    assert pack_episodes(ends([True, False, None]))["success"].tolist() == [1, 0, -1]


@pytest.mark.parametrize(("name", "value"), [("success", 1 << 40), ("return_", np.nan), ("length", -5)])
def test_a_ring_with_a_damaged_episode_begins_anew(name: str, value: float, tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    EpisodeHistory(1, 3, storage).write(0, 2, pack_episodes(ends([True, False])))
    storage.array("episodes", (1, HISTORY), EPISODE_DTYPE)[name][0, 1] = value
    history = EpisodeHistory(1, 3, storage)
    assert history.count[0] == 0 and np.isnan(history.success_rate[0])
