"""From light to the pixels of a file: noise before, then developed and magnified, and what of each droplet is left."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..chance import choose
from ..droplets.columns import Droplets
from ..droplets.detectability import image_range, spectrum, surviving
from ..staging import Plan
from .development import Development, develop, development, resampling, resized, undeveloped

Picture = NDArray[np.float32]
Floats = NDArray[np.float64]


class Exposed(NamedTuple):
    """A final image, (size, size), the share of each droplet that is left, (n,), and what was added to it.

    added: variance of what steps of grey and compression added where it lies, a pixel of the painted grid, (n,).
    contrast: root mean square of each droplet's change that is left, over the range of the final image, (n,).
    """

    image: Picture
    left: Floats
    added: Floats
    contrast: Floats


def noise_level(rng: np.random.Generator, droplets: Droplets, clutter: bool) -> float:
    """Standard deviation of the noise for contrast 1.

    From a ratio of 1.5 to 150, half of the time of 10 at least, as most images have; less noise on small droplets.
    """
    small = len(droplets) > 0 and float(np.median(droplets.r)) < 2.5
    lowest = 4.0 if small or clutter else 1.5
    return 1 / choose(rng, 10.0 if rng.random() < 0.5 else lowest, 150)


def lossy(
    image: Picture,
    bare: Picture,
    settings: Development,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    r: NDArray[np.float64],
) -> Exposed:
    """Develop an image, and hold the change by its droplets before and after against each other."""
    final, blank = develop(image, settings), develop(bare, settings)
    _, _, contrast = surviving(image - bare, final - blank, x, y, r)
    contrast = contrast / max(image_range(final), 1e-9)
    if not (settings.clip or settings.levels or settings.quality):
        return Exposed(final, np.ones(len(x)), np.zeros(len(x)), contrast)
    blank = undeveloped(blank, settings)
    left, stray, _ = surviving(image - bare, undeveloped(final, settings) - blank, x, y, r)
    added, correlated = 0.0, 1.0
    if settings.levels or settings.quality:
        # What compression adds is not white: its blocks are as large as droplets.
        lost = blank - bare
        variance = float(np.var(lost))
        added = max(variance, float(spectrum(lost).max()))
        correlated = added / max(variance, 1e-12)
    return Exposed(final, left.clip(0, 1), correlated * stray + added, contrast)


def exposed(
    rng: np.random.Generator,
    p: Plan,
    images: tuple[Picture, Picture],
    corner: NDArray[np.float64],
    sd: float,
    droplets: Droplets,
    size: int,
) -> Exposed:
    """Develop and magnify, in either order.

    Args:
        rng: numbers.
        p: the plan.
        images: with droplets and without, shape (width, width).
        corner: x and y in the painted grid of the final image's corner.
        sd: noise in the images.
        droplets: what is in the first.
        size: side of the final image in px.
    """
    image, bare = images
    left, top = corner
    way = resampling(rng, p.factor)
    if p.early:
        result = lossy(image, bare, development(rng, image, sd, p.empty), droplets.x, droplets.y, droplets.r)
        return result._replace(image=resized(result.image, size, left, top, p.factor, way))
    if p.factor == 1:
        i, j = int(top), int(left)
        image, bare = image[i : i + size, j : j + size], bare[i : i + size, j : j + size]
    else:
        image, bare = (resized(a, size, left, top, p.factor, way) for a in images)
        if rng.random() < 0.4:
            grain = np.float32(sd * choose(rng, 0.05, 0.7)) * rng.standard_normal((size, size), np.float32)
            image, bare = image + grain, bare + grain
    x, y = (droplets.x + 0.5 - left) * p.factor - 0.5, (droplets.y + 0.5 - top) * p.factor - 0.5
    result = lossy(image, bare, development(rng, image, sd, p.empty), x, y, p.factor * droplets.r)
    return result._replace(added=result.added / p.factor**2)
