"""Filming in a process of its own, with the OpenGL that was found to draw: a crash of it is an error, not the end."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import NamedTuple

from stars_dist.errors import RunFailedError
from stars_dist.rendering.gl_backend import Backend
from stars_dist.video.shown_policy import ShownPolicy

LARGE, MEDIUM, SMALL = 480, 320, 160  # pixels of a picture's side
_FEW, _SOME = 4, 16  # tiles of a grid


class Take(NamedTuple):
    """What is filmed into one file, or into several of the same pictures."""

    tasks: tuple[str, ...]  # several make a grid
    goal: int
    files: tuple[Path, ...]


class Scene(NamedTuple):
    """How one task went."""

    task: str
    outcome: str
    steps: int
    return_: float


def film(
    policy: ShownPolicy, takes: Sequence[Take], backend: Backend, progress: Callable[[str], None]
) -> list[Scene]:
    """Film all takes; return how each task went.

    Raises:
        RunFailedError: the process died, as a library of OpenGL may have it.
    """
    os.environ |= backend.environment  # which the process inherits, before it loads MuJoCo
    scenes: list[Scene] = []
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        for number, take in enumerate(takes, start=1):
            progress(f"filming {', '.join(take.tasks)} ({number} of {len(takes)})")
            try:
                scenes += process.submit(_film, policy, take).result()
            except BrokenProcessPool as error:
                raise RunFailedError(f"the process that films died with {backend.name} ({error})") from error
    return scenes


def _film(policy: ShownPolicy, take: Take) -> list[Scene]:
    from stars_dist.video.episode_film import FRAMES_PER_S, film_episode, side_by_side
    from stars_dist.video.video_file import write_video

    films = [film_episode(policy, task, take.goal, picture_size(len(take.tasks))) for task in take.tasks]
    frames = films[0].frames if len(films) == 1 else side_by_side(films)
    for file in take.files:
        write_video(file, frames, FRAMES_PER_S)
    return [Scene(film.task, film.outcome, film.steps, film.return_) for film in films]


def picture_size(tiles: int) -> int:
    """Choose the side of a picture in a grid of so many."""
    if tiles == 1:
        return LARGE
    return MEDIUM if tiles <= _FEW else 240 if tiles <= _SOME else SMALL
