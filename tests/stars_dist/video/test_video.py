"""`stars-dist video` without a screen: real pictures of an episode, as MP4 and GIF."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stars_dist.rendering.gl_backend import try_backends
from stars_dist.video.caption import Caption, captioned
from stars_dist.video.episode_film import Film, side_by_side
from stars_dist.video.video_file import check_video_file, write_video
from stars_dist.video.worst_tasks import worst_tasks
from tests.stars_dist.commands.conftest import Command, finished_run, stars_dist

__all__ = ["finished_run", "stars_dist"]  # the fixtures

DRAWS = try_backends()[-1].failure is None
needs_gl = pytest.mark.skipif(not DRAWS, reason="no OpenGL that draws without a screen")


def moving_square(frames: int = 12, size: int = 64) -> list[np.ndarray]:
    pictures = np.zeros((frames, size, size, 3), np.uint8)
    for i in range(frames):
        pictures[i, 20:30, i : i + 10] = (255, 40, 40)
    return list(pictures)


def test_a_gif_keeps_its_pictures(tmp_path: Path) -> None:
    file = tmp_path / "new" / "film.gif"
    write_video(file, moving_square(), 20)
    with Image.open(file) as image:
        assert image.size == (64, 64) and image.info["duration"] == 100
        assert getattr(image, "n_frames") == 6  # noqa: B009 -- every second one
        image.seek(3)
        red = np.asarray(image.convert("RGB"))[25, :, 0]
    assert np.flatnonzero(red > 128).tolist() == list(range(6, 16))
    assert [path.name for path in file.parent.iterdir()] == ["film.gif"]


def test_an_mp4_has_all_frames(tmp_path: Path) -> None:
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
    file = tmp_path / "film.mp4"
    write_video(file, moving_square(), 20)
    count, seconds = imageio_ffmpeg.count_frames_and_secs(str(file))
    assert count == 12 and seconds == pytest.approx(0.6, abs=0.1)


def test_a_caption_says_the_outcome_in_its_colour() -> None:
    blank = np.full((240, 240, 3), 128, np.uint8)
    open_, won, lost = (
        captioned(blank, Caption("reach-v3", 80, 123.0, outcome))
        for outcome in (None, "success at step 80", "no success")
    )
    middle = slice(40, 200)
    assert all((picture[middle] == 128).all() for picture in (open_, won, lost))
    top = np.s_[:16, 120:]
    assert (won[top].astype(int)[..., 1] - won[top][..., 0]).max() > 80  # green
    assert (lost[top].astype(int)[..., 0] - lost[top][..., 1]).max() > 80  # red
    assert not np.array_equal(open_[-16:], blank[-16:])


def test_a_grid_keeps_the_last_picture_of_a_shorter_film() -> None:
    films = [
        Film(
            f"task {i}", [np.full((8, 8, 3), 10 * i + j, np.uint8) for j in range(length)], 0, 0.0, None, True
        )
        for i, length in enumerate((1, 3, 2))
    ]
    tiled = side_by_side(films)
    assert [picture.shape for picture in tiled] == [(16, 16, 3)] * 3
    assert [int(tiled[2][y, x, 0]) for y, x in ((0, 0), (0, 8), (8, 0), (8, 8))] == [0, 12, 21, 0]


def test_the_worst_tasks_are_those_of_the_newest_evaluation(finished_run: Path, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_bytes((finished_run / "config.yaml").read_bytes())
    line = '{"env_steps": 9, "learner_steps": 9, "wall_time_s": 9.0, "eval/mean_success": 0.5, '
    (tmp_path / "metrics.jsonl").write_text(line + '"eval/success/a": 1.0, "eval/success/b": 0.0}\n')
    assert worst_tasks(tmp_path, ("a", "b"), 1) == ["b"]
    assert worst_tasks(tmp_path / "checkpoints" / "step-1", ("a", "b"), 2) == ["b", "a"]


@needs_gl
@pytest.mark.timeout(600)
def test_a_task_of_meta_world_is_filmed(stars_dist: Command, tmp_path: Path) -> None:
    file = tmp_path / "reach.gif"
    done = stars_dist("video", "demo", "--task", "drawer-close-v3", "--out", file)
    assert done.code == 0, done.err
    assert "drawer-close-v3" in done.out and f"wrote {file}" in done.out
    with Image.open(file) as image:
        first = np.asarray(image.convert("RGB")).astype(int)
        image.seek(getattr(image, "n_frames") - 1)  # noqa: B009
        last = np.asarray(image.convert("RGB")).astype(int)
    green = lambda picture: (picture[..., 1] - picture[..., 0] > 25) & (picture[..., 1] > picture[..., 2])  # noqa: E731
    assert green(first).sum() > 500  # the drawer
    assert np.abs(last - first).mean() > 1  # and the arm has moved
    # Upright: the floor and the sky are above the table, which is brown.
    brown = (first[..., 0] - first[..., 2]) > 20
    assert brown[first.shape[0] // 2 :].sum() > brown[: first.shape[0] // 2].sum()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere",), "must exist"),
        (("demo", "--task", "raech-v3"), "did you mean 'reach-v3'"),
        (("demo", "--task", "reach-v3", "--worst", "2"), "leave out one"),
        (("demo", "--goal", "50"), "--goal must be from 0 to 49"),
        (("demo", "--out", "all.mp4"), "must name a directory for 4 videos"),
        (("demo", "--out", "/proc/videos"), "can be written to"),
    ],
)
def test_bad_input(arguments: tuple[str, ...], message: str, stars_dist: Command) -> None:
    done = stars_dist("video", *arguments)
    assert done.code == 2 and message in done.err and done.err.count("\n") == 1


def test_a_missing_opengl_is_named(stars_dist: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", "glfw")
    monkeypatch.delenv("DISPLAY", raising=False)
    done = stars_dist("video", "demo", "--task", "reach-v3", "--gif")
    assert done.code == 2 and "libosmesa6" in done.err and done.err.count("\n") == 1


def test_a_file_that_is_no_video_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must end in .mp4 or .gif"):
        check_video_file(tmp_path / "film.avi")


@needs_gl
def test_a_suite_that_draws_nothing_is_refused_in_one_line(
    finished_run: Path, tmp_path: Path, stars_dist: Command
) -> None:
    done = stars_dist("video", finished_run, "--worst", "1", "--gif", "--out", tmp_path / "films")
    assert done.code == 2 and "error: a toy task draws nothing" in done.err
    assert "Traceback" not in done.err and not list(tmp_path.glob("**/*.gif"))
