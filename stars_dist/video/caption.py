"""The caption of a frame: task, step, return, and the outcome in its colour."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from stars_dist.rendering.picture import Picture

_BAR, _TEXT = (16, 18, 22, 190), (235, 235, 235)
_COLOURS = {"success": (96, 220, 130), "no success": (240, 110, 100)}


class Caption(NamedTuple):
    """What is said of an episode at one moment."""

    task: str
    step: int
    return_: float
    outcome: str | None  # "success at step 87", "no success"; None: open, or there is no flag


def captioned(picture: Picture, caption: Caption) -> Picture:
    """Write a caption onto a picture, at its top and bottom."""
    size = picture.shape[1]
    text_size = max(9, size // 22)
    font = ImageFont.load_default(text_size)
    line = text_size * 1.5
    image = Image.fromarray(picture).convert("RGBA")
    layer = Image.new("RGBA", image.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    draw.rectangle((0, 0, size, line), fill=_BAR)
    draw.text((size // 40, line * 0.12), caption.task, _TEXT, font)
    draw.rectangle((0, size - line, size, size), fill=_BAR)
    said = f"step {caption.step}   return {caption.return_:,.0f}"
    draw.text((size // 40, size - line * 0.9), said, _TEXT, font)
    if caption.outcome is not None:
        colour = next(c for prefix, c in _COLOURS.items() if caption.outcome.startswith(prefix))
        width = draw.textlength(caption.outcome, font)
        draw.text((size - width - size // 40, line * 0.12), caption.outcome, colour, font)
    return np.asarray(Image.alpha_composite(image, layer).convert("RGB"))
