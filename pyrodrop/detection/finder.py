"""Droplets found in an image and nothing else: no threshold, no size, no polarity.

Edges at every scale vote for the circles that they would lie on (``finder_votes``), every such circle is fitted to the
edges that it meets (``finder_circles``), a set of circles is chosen that share no edge (``finder_select``), and what
that set is made of tells droplets from clutter (``finder_population``). Last, the radius is read off where the profile
falls to half (``finder_profile``).
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage
from torch import Tensor

from pyrodrop.detection.circles import Circles, fit_circles, taken
from pyrodrop.detection.edges import pyramid
from pyrodrop.detection.population import Population, population, presence
from pyrodrop.detection.radial_profile import half_heights
from pyrodrop.detection.selection import select
from pyrodrop.detection.votes import propose
from pyrodrop.pursuit.refine import Doubles, Floats
from pyrodrop.rendering.pixel_noise import pixel_noise

COVER = 1.5  # radii of a droplet that say nothing about the background: a Gaussian has fallen to a fifth
LEAST_SHOWN = 0.01  # presence of what is not worth a row in a table


class Found(NamedTuple):
    """Droplets found in an image, arrays (n,) sorted by presence, and what they lie on.

    Attributes:
        x, y: centre in px, pixel centres on integers.
        r: radius in px where the profile falls to half.
        amplitude: signed height over the background in units of the image.
        presence: probability that the droplet is there, 0 to 1.
        background: (H, W) the image without its droplets, smooth.
        noise: standard deviation of white noise per pixel, in units of the image.
        level_noise: standard deviation of the gradient's noise on each level of the pyramid, per sample.
        population: what the image's circles say of its droplets and clutter.
    """

    x: Doubles
    y: Doubles
    r: Doubles
    amplitude: Doubles
    presence: Doubles
    background: Floats
    noise: float
    level_noise: Doubles
    population: Population


def find(channel: Tensor, everything: bool = False, known: Population | None = None, packed: bool = False) -> Found:
    """Find the droplets of an image.

    Args:
        channel: (H, W) finite values of any scale, H and W at least 8.
        everything: also the candidates that are clutter as far as the image's other circles tell.
        known: the population that droplets are to be like, where the channel is a part of an image that may hold few
            or none; else that of the channel itself.
        packed: droplets leave no part of the image quiet. Noise is then read from second differences alone, and
            texture is not told from it.

    Returns:
        The droplets with what the probability of each is; those with ``presence`` of 0.5 and more count.

    Raises:
        ValueError: if the channel has another shape or holds values that are not finite.
    """
    if channel.ndim != 2 or min(channel.shape) < 8:
        raise ValueError(f"the channel must be an image (H, W) of 8 x 8 pixels or more, not {tuple(channel.shape)}")
    image = channel.detach().cpu().numpy().astype(np.float32)
    if not np.isfinite(image).all():
        raise ValueError("the channel holds values that are not finite; mend or crop the image first")
    levels = pyramid(image, packed)
    proposed = propose(levels)
    circles = fit_circles(levels, proposed.x, proposed.y, proposed.r, proposed.sign)
    kept, own = select(circles)
    circles = taken(circles, kept)
    there = presence(circles, own, known)
    shown = population(circles, own)
    order = np.argsort(-there, kind="stable")
    order = order if everything else order[there[order] >= LEAST_SHOWN]
    circles, there = taken(circles, order), there[order]
    r, amplitude = half_heights(image, levels, circles)
    ground = background(image, circles, there)
    noise = np.array([level.noise for level in levels])
    return Found(circles.x, circles.y, r, amplitude, there, ground, float(pixel_noise(image[None])[0]), noise, shown)


def background(image: Floats, circles: Circles, there: Doubles) -> Floats:
    """The image (H, W) without the droplets that are there, smoothed over twice their usual distance from rim to rim.

    A weighted mean over what no droplet covers, by Gaussian smoothing of image and cover alike.
    """
    h, w = image.shape
    counted = there >= 0.5
    usual = float(np.median(circles.r[counted])) if counted.any() else 0.125 * min(h, w)
    free = np.ones((h, w), np.float32)
    for x, y, r in zip(circles.x[counted], circles.y[counted], COVER * circles.r[counted], strict=True):
        i0, i1 = max(int(x - r), 0), min(int(x + r) + 2, w)
        j0, j1 = max(int(y - r), 0), min(int(y + r) + 2, h)
        if i0 < i1 and j0 < j1:
            rows, columns = np.ogrid[j0:j1, i0:i1]
            free[j0:j1, i0:i1][(columns - x) ** 2 + (rows - y) ** 2 < r * r] = 0.0
    # Sampled coarsely: what is left after smoothing by 3 radii has no finer detail.
    step = max(1, int(usual))
    coarse = (-(-h // step), -(-w // step))
    padded = np.zeros((coarse[0] * step, coarse[1] * step), np.float32)
    cover = padded.copy()
    padded[:h, :w], cover[:h, :w] = image * free, free
    blocks = (coarse[0], step, coarse[1], step)
    sums, weights = padded.reshape(blocks).sum((1, 3)), cover.reshape(blocks).sum((1, 3))
    sd = 3.0 * usual / step
    weights = weights + 1e-6 * step * step
    middle = float(np.median(image[free > 0])) if (free > 0).any() else float(np.median(image))
    sums = sums + 1e-6 * step * step * middle
    smooth = ndimage.gaussian_filter(sums, sd) / ndimage.gaussian_filter(weights, sd)
    j, i = (np.arange(h) + 0.5) / step - 0.5, (np.arange(w) + 0.5) / step - 0.5
    places = np.meshgrid(j, i, indexing="ij")
    out: Floats = ndimage.map_coordinates(smooth, places, order=1, mode="nearest").astype(np.float32)
    return out
