"""What a camera and its files do to an image: noise, resampling, steps of grey, saturation, JPEG."""

import io
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .fields import texture
from .filters import blurred
from .looks import choose

Rng = np.random.Generator
Picture = NDArray[np.float32]
RESAMPLINGS = (Image.Resampling.NEAREST, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)


def noise(rng: Rng, image: Picture, sd: float) -> Picture:
    """Noise of this standard deviation a pixel: white, growing with the light, correlated over pixels, 1/f, by rows."""
    size = image.shape[0]
    field = rng.standard_normal((size, size), dtype=np.float32)
    kind = rng.random()
    if kind < 0.2:
        sigma = choose(rng, 0.4, 2.0)
        field = blurred(field, sigma) * np.float32(math.sqrt(1 + 4 * math.pi * sigma**2 * min(1, sigma**2)))
    elif kind < 0.27:
        field = 0.8 * field + 0.6 * texture(rng, size, 1.0, exponent=int(rng.integers(0, 3)))
    if rng.random() < 0.3:
        low, high = float(image.min()), float(image.max())
        level = (image - np.float32(low)) / np.float32(high - low + 1e-6)
        field = field * np.sqrt(np.float32(rng.uniform(0.05, 1)) + np.float32(choose(rng, 0.3, 6)) * level)
    if rng.random() < 0.08:
        field = field + np.float32(rng.uniform(0.2, 1.5)) * rng.standard_normal((size, 1), dtype=np.float32)
    return np.float32(sd) * field


def resized(image: Picture, size: int, x: float, y: float, factor: float, way: Image.Resampling) -> Picture:
    """A square of size px cut at x, y and enlarged; areas count: a centre u goes to (u + 1/2 - x) factor - 1/2."""
    side = size / factor
    box = (x, y, x + side, y + side)
    return np.asarray(Image.fromarray(image).resize((size, size), way, box), dtype=np.float32)


def hot(rng: Rng, image: Picture, height: float) -> None:
    """Hot and dead pixels, in place."""
    n = int(choose(rng, 1, 60))
    i, j = rng.integers(0, image.shape[0], (2, n))
    image[i, j] += np.float32(height) * rng.choice([-1, 1], n, p=[0.2, 0.8]).astype(np.float32)


def bayer(rng: Rng, image: Picture) -> Picture:
    """One colour of a Bayer mosaic, interpolated: every second pixel of every second row, and means between."""
    i, j = rng.integers(0, 2, 2)
    part = Image.fromarray(np.ascontiguousarray(image[i::2, j::2]))
    full = np.asarray(part.resize((image.shape[1], image.shape[0]), Image.Resampling.BILINEAR), dtype=np.float32)
    return np.roll(full, (int(i), int(j)), (0, 1))


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


def developed(rng: Rng, image: Picture, sd: float) -> tuple[Picture, float]:
    """From light to file: sharpened, clipped, bent, in steps of grey, compressed.

    Args:
        image: shape (size, size), contrast about 1.
        sd: the noise that is in it, which coarse steps of grey go by.

    Returns:
        The image in the same units, and the standard deviation of what steps and compression added.
    """
    if rng.random() < 0.06:
        image = bayer(rng, image)
    if rng.random() < 0.05:
        image = median(image)
    if rng.random() < 0.1:
        image = image + np.float32(rng.uniform(0.3, 2)) * (image - blurred(image, rng.uniform(0.7, 3)))
    low, high = float(image.min()), float(image.max())
    if rng.random() < 0.25:
        low, high = clipping(rng, image, low, high)
        image = image.clip(low, high)
    unit = (image - np.float32(low)) / np.float32(max(high - low, 1e-6))
    if rng.random() < 0.25:
        unit = unit.clip(0, 1) ** np.float32(choose(rng, 0.45, 2.2))
    grain = sd / max(high - low, 1e-6)
    kind = rng.random()
    if kind < 0.3:
        return unit, 0.0
    if kind < 0.7:
        levels = choose(rng, 25, 255) if rng.random() < 0.7 else max(2.0, 1 / (grain * choose(rng, 1, 6)))
        final = np.rint(unit * np.float32(levels)) / np.float32(levels)
    else:
        span = choose(rng, 25, 255)
        base = rng.uniform(0, 255 - span)
        grey = jpeg(unit * np.float32(span) + np.float32(base), int(rng.integers(30, 96)))
        final = (grey - np.float32(base)) / np.float32(span)
    return final, float(np.std(final - unit)) * max(high - low, 1e-6)


def clipping(rng: Rng, image: Picture, low: float, high: float) -> tuple[float, float]:
    """Levels at which black and white end, neither within the middle half of the image's pixels."""
    q = np.percentile(image, [25, 75])
    if rng.random() < 0.6:
        high = float(q[1]) + rng.uniform(0.1, 0.8) * (high - float(q[1]))
    if rng.random() < 0.4:
        low = float(q[0]) - rng.uniform(0.1, 0.8) * (float(q[0]) - low)
    return low, max(high, low + 1e-3)
