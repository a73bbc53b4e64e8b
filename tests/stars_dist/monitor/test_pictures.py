"""Pictures of a run: gaps between moments, sizes for four tasks and for fifty."""

from __future__ import annotations

import numpy as np
import pytest

from stars_dist.monitor.pictures import SUCCESS_SCALE, WIDTH, carried_on, feature_picture, heat_map

NAN = float("nan")


def test_what_is_known_is_carried_on_to_the_newest_moment_and_not_beyond() -> None:
    values = np.array([[NAN, 0.5, NAN, NAN, NAN, NAN], [NAN, NAN, NAN, 0.25, NAN, NAN]])
    np.testing.assert_array_equal(
        carried_on(values), [[NAN, 0.5, 0.5, 0.5, NAN, NAN], [NAN, NAN, NAN, 0.25, NAN, NAN]]
    )
    unknown = np.full((2, 3), NAN)
    np.testing.assert_array_equal(carried_on(unknown), unknown)


@pytest.mark.parametrize("num_tasks", [1, 4, 50, 1000])
def test_a_heat_map_has_the_colours_of_its_fixed_scale(num_tasks: int) -> None:
    names = [f"a-task-with-a-long-name-{i}-v3" for i in range(num_tasks)]
    pixels = {
        success: heat_map(np.full((num_tasks, 10), success), names, 1000, SUCCESS_SCALE)
        for success in (0.0, 1.0)
    }
    assert pixels[0.0].dtype == np.uint8 and pixels[0.0].shape[1] == pytest.approx(WIDTH * 180, abs=2)
    middle = {
        success: picture[len(picture) // 2, picture.shape[1] // 2].tolist()
        for success, picture in pixels.items()
    }
    assert len(pixels[0.0]) < 1700  # a picture of a thousand rows of text takes seconds and 25,000 pixels
    assert middle == {0.0: [68, 1, 84], 1.0: [253, 231, 36]}  # the ends of viridis


@pytest.mark.parametrize("num_tasks", [2, 50, 1000])
def test_features_are_drawn_in_a_colour_per_task(num_tasks: int) -> None:
    rng, names = np.random.default_rng(0), [f"task-{i}" for i in range(num_tasks)]
    task_id = np.repeat(np.arange(num_tasks), 20)
    planes = [(branch, rng.normal(size=(len(task_id), 2))) for branch in ("unique", "shared")]
    picture = feature_picture(planes, task_id, names)
    assert len(picture) < 1000
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > num_tasks
