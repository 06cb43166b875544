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
    from scipy.interpolate import BSpline

    pieces = max(1, round(length / spacing))
    position = np.arange(length) / max(length - 1, 1) * pieces
    # Knots one piece apart, three of them beyond each end: a cubic spline there is as any other's.
    knots = np.arange(-3.0, pieces + 4)
    basis = np.asarray(BSpline.design_matrix(np.minimum(position, pieces), knots, 3).toarray())
    basis.flags.writeable = False
    return basis
