"""Where the centres of an image's droplets may lie: the one place that says which droplets are of an image."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def centre_bounds(side: int, beyond_px: float = 0.0) -> tuple[float, float]:
    """Least and greatest centre along a side of an image, in px: from the edge of its first pixel to that of its last.

    Pixel centres lie on integers, so that an image ``side`` px long reaches from -0.5 to side - 0.5. Images that lie
    side by side thus count every droplet once.

    Args:
        side: pixels along the side, at least 1.
        beyond_px: how far beyond those edges a centre may lie, in px, at least 0: that of a droplet which the border
            of the image cuts may lie beyond it.
    """
    return -0.5 - beyond_px, side - 0.5 + beyond_px


def in_image(x: ArrayLike, y: ArrayLike, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Which droplets are of an image and counted in it: those whose centres lie within it.

    A droplet that the border cuts and whose centre lies beyond it is of the next image.

    Args:
        x, y: centres in px, shape (N,).
        size: height and width (H, W) of the image in px.

    Returns:
        Shape (N,).
    """
    height, width = size
    (left, right), (top, bottom) = centre_bounds(width), centre_bounds(height)
    x, y = np.asarray(x), np.asarray(y)
    return np.asarray((x >= left) & (x <= right) & (y >= top) & (y <= bottom))
