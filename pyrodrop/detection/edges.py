"""An image as edges at every scale: a pyramid of smoothed images, their gradients, and the noise of those.

Each level is the image smoothed by a Gaussian of one sample and sampled every ``step`` px, so that the same few
radii in samples stand for all radii in px. Thin edges are the pixels whose gradient is largest along its own
direction (Canny, A computational approach to edge detection, 1986), without Canny's thresholds.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from pyrodrop.pursuit.refine import Doubles, Floats, compiled
from pyrodrop.rendering.pixel_noise import pixel_noise

LEAST_SIDE = 16  # samples of the smallest level's shorter side: a circle of the least voted radius, 3, with its rim
QUIET = 0.25  # quantile of gradients that tells the noise: the quietest quarter of an image is rarely droplets' rims
GREY_LEVELS = 255.0  # no image is trusted to resolve less of its range than 8 bits do
ONE_SAMPLE = 1.0  # Gaussian smoothing of a level in its samples: the least that keeps the gradient isotropic


class Level(NamedTuple):
    """One scale of an image.

    Attributes:
        step: px from one sample to the next; sample (i, j) is the pixel (step i, step j).
        values: (h, w) smoothed image.
        gx, gy: (h, w) its gradient per sample.
        noise: standard deviation of one component of the gradient of the noise, per sample.
    """

    step: int
    values: Floats
    gx: Floats
    gy: Floats
    noise: float


def pyramid(image: Floats, packed: bool = False) -> list[Level]:
    """The levels of an image (H, W) of finite values, the finest first.

    Args:
        image: the image.
        packed: droplets leave no quarter of it quiet; the noise is no more than ``gradient_of_white_noise`` then.
    """
    levels = []
    most = float(pixel_noise(image[None])[0]) if packed else math.inf
    floor = value_floor(image)
    values, step = ndimage.gaussian_filter(image, ONE_SAMPLE, mode="nearest"), 1
    while True:
        gy, gx = gradient(values)
        noise = min(gradient_noise(gx, gy, floor / step), gradient_of_white_noise(max(most, floor), step))
        levels.append(Level(step, values, gx, gy, noise))
        # Smoothing by sqrt(3) samples makes a Gaussian of one sample one of two, which is one of the next level.
        values = ndimage.gaussian_filter(values, ONE_SAMPLE * math.sqrt(3.0), mode="nearest")[::2, ::2].copy()
        step *= 2
        if min(values.shape) < LEAST_SIDE:
            return levels


def gradient(values: Floats) -> tuple[Floats, Floats]:
    """Central differences along y and x."""
    gy, gx = (np.asarray(along, np.float32) for along in np.gradient(values))
    return gy, gx


def value_floor(image: Floats) -> float:
    """Standard deviation of rounding to 8 bits of the image's range, without its rarest values."""
    low, high = np.percentile(image, [0.1, 99.9])
    return float(high - low) / GREY_LEVELS / math.sqrt(12.0)


def gradient_noise(gx: Floats, gy: Floats, floor: float) -> float:
    """Standard deviation of a component of the gradient where the image is quiet.

    The length of a gradient of pure noise is Rayleigh distributed, with the quantile q at
    sigma sqrt(-2 log(1 - q)). Rounding of standard deviation ``floor`` adds floor / sqrt(8 pi) after smoothing by
    a Gaussian of one sample.
    """
    length = float(np.quantile(np.hypot(gx, gy), QUIET))
    return max(length / math.sqrt(-2.0 * math.log(1.0 - QUIET)), gradient_of_white_noise(floor), 1e-12)


def gradient_of_white_noise(noise: float, step: int = 1) -> float:
    """Standard deviation of a component of the gradient, per sample, that white noise of the image's pixels makes.

    Smoothed by a Gaussian of one sample, which is ``step`` px, it is noise / (step sqrt(8 pi)).
    """
    return max(noise / step / math.sqrt(8.0 * math.pi), 1e-12)


@compiled
def thin_edges(gx: Floats, gy: Floats, noise: float, sureness: float) -> Doubles:
    """Edges thinned to one sample: (n, 5) of x, y, the gradient's direction, and weight in 0..1.

    The weight is that of a gradient of length g against noise: g^2 / (g^2 + (sureness noise)^2). The place across
    the edge is the top of a parabola through three lengths one sample apart.
    """
    h, w = gx.shape
    out = np.empty((h * w // 2 + 1, 5))
    n = 0
    doubt = (sureness * noise) ** 2
    for j in range(1, h - 1):
        for i in range(1, w - 1):
            a, b = gx[j, i], gy[j, i]
            g = math.sqrt(a * a + b * b)
            if g < noise or n == out.shape[0]:
                continue
            u, v = a / g, b / g
            before, after = length_at(gx, gy, i - u, j - v), length_at(gx, gy, i + u, j + v)
            if g < before or g <= after:
                continue
            bend = before - 2.0 * g + after
            shift = 0.5 * (before - after) / bend if bend < 0.0 else 0.0
            out[n, 0], out[n, 1] = i + shift * u, j + shift * v
            out[n, 2], out[n, 3] = u, v
            out[n, 4] = g * g / (g * g + doubt)
            n += 1
    return out[:n].copy()


@compiled
def length_at(gx: Floats, gy: Floats, x: float, y: float) -> float:
    """Length of the gradient between samples, bilinear in its components."""
    return math.sqrt(between(gx, x, y) ** 2 + between(gy, x, y) ** 2)


@compiled
def between(values: Floats, x: float, y: float) -> float:
    """The value at a place between samples, bilinear; the nearest sample's outside."""
    h, w = values.shape
    x, y = min(max(x, 0.0), w - 1.0), min(max(y, 0.0), h - 1.0)
    i, j = min(int(x), w - 2), min(int(y), h - 2)
    s, t = x - i, y - j
    top = values[j, i] * (1.0 - s) + values[j, i + 1] * s
    return top * (1.0 - t) + t * (values[j + 1, i] * (1.0 - s) + values[j + 1, i + 1] * s)
