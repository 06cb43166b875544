"""A smooth background: control points on a coarse grid, with uniform cubic B-splines between them."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


@lru_cache(maxsize=64)
def spline_basis(length: int, spacing: float) -> NDArray[np.float64]:
    """Weights of the control points along one side of the image.

    Args:
        length: pixels along the side, at least 1.
        spacing: aimed distance of control points in px; there is a whole number of equal pieces, at least one.

    Returns:
        Shape (length, points), float64; every row sums to 1, so that equal control points are a level background.
    """
    pieces = max(1, round(length / spacing))
    position = np.arange(length) / max(length - 1, 1) * pieces
    piece = np.minimum(position.astype(int), pieces - 1)
    t = position - piece
    weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], 1) / 6
    basis = np.zeros((length, pieces + 3))
    np.put_along_axis(basis, piece[:, None] + np.arange(4), weights, 1)
    basis.flags.writeable = False
    return basis
