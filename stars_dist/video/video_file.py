"""A video as a file: MP4 by ffmpeg, or GIF, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stars_dist.output_place import check_output_place
from stars_dist.rendering.picture import Picture

_GIF_WIDTH, _GIF_EVERY, _GIF_COLOURS = 480, 2, 128  # pixels at most, every how many frames, of the palette
SUFFIXES = (".mp4", ".gif")


def check_video_file(path: Path) -> None:
    """Check that a video can be written there; ValueError with what is missing."""
    if path.suffix not in SUFFIXES:
        raise ValueError(f"a video must end in {' or '.join(SUFFIXES)}, got {path}; rename it")
    check_output_place("a video", path.parent)
    if path.suffix == ".mp4":
        try:
            import imageio_ffmpeg  # noqa: F401 -- whether it can be imported is all that is asked
        except ImportError:
            raise ValueError(
                "an MP4 needs the package imageio-ffmpeg; pip install 'stars-dist[video]', or use --gif"
            ) from None


def write_video(path: Path, frames: Sequence[Picture], frames_per_s: int) -> None:
    """Write frames u8[H, W, 3] of one size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        (_write_mp4 if path.suffix == ".mp4" else _write_gif)(temporary, frames, frames_per_s)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _write_mp4(path: Path, frames: Sequence[Picture], frames_per_s: int) -> None:
    import imageio_ffmpeg

    height, width = frames[0].shape[:2]
    writer = imageio_ffmpeg.write_frames(
        str(path), (width, height), fps=frames_per_s, quality=7, macro_block_size=2, ffmpeg_log_level="error"
    )
    writer.send(None)
    for frame in frames:
        writer.send(np.ascontiguousarray(frame))
    writer.close()


def _write_gif(path: Path, frames: Sequence[Picture], frames_per_s: int) -> None:
    from PIL import Image

    shrink = max(1, -(-frames[0].shape[1] // _GIF_WIDTH))
    kept = [Image.fromarray(frame).reduce(shrink) for frame in frames[::_GIF_EVERY]]
    # One palette for all: what stands still then costs nothing from the second picture on.
    several = np.concatenate([np.asarray(image) for image in kept[:: max(1, len(kept) // 4)]])
    palette = Image.fromarray(several).quantize(_GIF_COLOURS, dither=Image.Dither.NONE)
    images = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in kept]
    images[0].save(
        path,
        save_all=True,
        append_images=images[1:],
        duration=1000 * _GIF_EVERY // frames_per_s,
        loop=0,
        optimize=False,
    )
