"""From light to a file: colours of a mosaic, sharpening, saturation, steps of grey, JPEG, and resampling."""

import io
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..chance import choose
from ..filters import blurred

Rng = np.random.Generator
Picture = NDArray[np.float32]
RESAMPLINGS = (Image.Resampling.NEAREST, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)


def resized(image: Picture, size: int, x: float, y: float, factor: float, way: Image.Resampling) -> Picture:
    """A square of size px cut at x, y and enlarged; areas count: a centre u goes to (u + 1/2 - x) factor - 1/2."""
    side = size / factor
    box = (x, y, x + side, y + side)
    return np.asarray(Image.fromarray(image).resize((size, size), way, box), dtype=np.float32)


def resampling(rng: Rng, factor: float) -> Image.Resampling:
    """A way to magnify; to reduce, the one that weighs areas."""
    return RESAMPLINGS[rng.integers(len(RESAMPLINGS))] if factor > 1 else Image.Resampling.BILINEAR


def bayer(image: Picture, i: int, j: int) -> Picture:
    """One colour of a Bayer mosaic, the pixels of every second row and column from i, j, and means between them."""
    part = image[i::2, j::2]
    for axis, first in ((0, i), (1, j)):
        at = np.clip((np.arange(image.shape[axis]) - first) / 2, 0, part.shape[axis] - 1)
        low = np.minimum(at.astype(np.intp), part.shape[axis] - 2)
        share = (at - low).astype(np.float32).reshape((-1, 1) if axis == 0 else (1, -1))
        part = np.take(part, low, axis) * (1 - share) + np.take(part, low + 1, axis) * share
    return part.astype(np.float32)


def median(image: Picture) -> Picture:
    """The median of each pixel and its four neighbours, mirrored at the border."""
    p = np.pad(image, 1, mode="edge")
    a, b, c, d, e = p[1:-1, 1:-1], p[:-2, 1:-1], p[2:, 1:-1], p[1:-1, :-2], p[1:-1, 2:]
    low = np.maximum(np.minimum(a, b), np.minimum(c, d))
    high = np.minimum(np.maximum(a, b), np.maximum(c, d))
    return np.maximum(np.minimum(low, high), np.minimum(np.maximum(low, high), e)).astype(np.float32)


def jpeg(grey: Picture, quality: int) -> Picture:
    """Through a JPEG file of 8 bits and back; grey from 0 to 255."""
    with io.BytesIO() as file:
        Image.fromarray(np.rint(grey.clip(0, 255)).astype(np.uint8)).save(file, "JPEG", quality=quality)
        file.seek(0)
        return np.asarray(Image.open(file), dtype=np.float32)


class Development(NamedTuple):
    """From light to file: settings of ``develop``.

    bayer: row and column of the colour in the mosaic, or none; median: whether it is taken; sharpen: strength and
    width in px of an unsharp mask; low, high: what becomes black and white; clip: whether more than that is lost;
    gamma: of the curve; levels: steps of grey, 0 none; quality: of the JPEG, 0 none; span, base: its greys of 255.
    """

    bayer: tuple[int, int] | None
    median: bool
    sharpen: tuple[float, float]
    low: float
    high: float
    clip: bool
    gamma: float
    levels: float
    quality: int
    span: float
    base: float


def development(rng: Rng, image: Picture, sd: float, empty: bool) -> Development:
    """Draw how an image is developed.

    Args:
        rng: numbers.
        image: shape (size, size).
        sd: the noise in it, which coarse steps of grey go by.
        empty: whether nothing in it can be lost: then steps and compression may be of any strength.
    """
    mosaic = (int(rng.integers(2)), int(rng.integers(2))) if rng.random() < 0.06 else None
    median = bool(rng.random() < 0.05)
    sharpen = (rng.uniform(0.3, 2), rng.uniform(0.7, 3)) if rng.random() < 0.1 else (0.0, 1.0)
    low, high = float(image.min()), float(image.max())
    clip = bool(rng.random() < 0.25)
    if clip:
        low, high = clipping(rng, image, low, high)
    high = max(high, low + 1e-6)
    gamma = choose(rng, 0.45, 2.2) if rng.random() < 0.25 else 1.0
    kind, levels, quality = rng.random(), 0.0, 0
    span = choose(rng, 2 if empty else 15, 255)
    if 0.3 < kind < 0.7:
        levels = choose(rng, 25, 255)
        if rng.random() < 0.3:
            levels = max(2.0 if empty else 5.0, (high - low) / (sd * choose(rng, 1, 6)))
    elif kind >= 0.7:
        quality = int(rng.integers(30, 96))
    base = rng.uniform(0, 255 - span)
    return Development(mosaic, median, sharpen, low, high, clip, gamma, levels, quality, span, base)


def develop(image: Picture, d: Development) -> Picture:
    """The image as its file has it, in greys from about 0 to 1."""
    if d.bayer is not None:
        image = bayer(image, *d.bayer)
    if d.median:
        image = median(image)
    if d.sharpen[0]:
        image = image + np.float32(d.sharpen[0]) * (image - blurred(image, d.sharpen[1]))
    unit = (image - np.float32(d.low)) / np.float32(d.high - d.low)
    if d.clip:
        unit = unit.clip(0, 1)
    if d.gamma != 1:
        unit = unit.clip(0, 1) ** np.float32(d.gamma)
    if d.levels:
        unit = np.rint(unit * np.float32(d.levels)) / np.float32(d.levels)
    if d.quality:
        unit = (jpeg(unit * np.float32(d.span) + np.float32(d.base), d.quality) - np.float32(d.base)) / np.float32(
            d.span
        )
    return unit


def undeveloped(final: Picture, d: Development) -> Picture:
    """Light again, as far as the curve goes: what steps, clipping and compression lost stays lost."""
    if d.gamma != 1:
        final = final.clip(0, None) ** np.float32(1 / d.gamma)
    return np.float32(d.high - d.low) * final + np.float32(d.low)


def clipping(rng: Rng, image: Picture, low: float, high: float) -> tuple[float, float]:
    """Levels at which black and white end, neither within the middle half of the image's pixels."""
    q = np.percentile(image[::3, ::3], [25, 75])
    if rng.random() < 0.6:
        high = float(q[1]) + rng.uniform(0.1, 0.8) * (high - float(q[1]))
    if rng.random() < 0.4:
        low = float(q[0]) - rng.uniform(0.1, 0.8) * (float(q[0]) - low)
    return low, max(high, low + 1e-3)
