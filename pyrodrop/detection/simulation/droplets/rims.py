"""Where the outer rim of a droplet lies after the blur: the radius that is asked for."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import i0e

from pyrodrop.rendering.profiles.gaussian import HALF_SHARE

from .columns import Droplets

Floats = NDArray[np.float64]


@lru_cache(maxsize=1)
def _spread() -> tuple[Floats, Floats]:
    """Half height radius of a disc of radius 1 under a Gaussian of standard deviation s, and the s, each (40,).

    The disc after the blur is, at the distance d from its centre,
    integral over rho from 0 to 1 of rho / s^2 exp(-(rho^2 + d^2) / 2 s^2) I_0(rho d / s^2).
    """
    widths = np.geomspace(0.02, 20, 40)
    radii = np.empty(40)
    rho = np.linspace(0, 1, 601)
    for k, s in enumerate(widths):
        d = np.linspace(0, 1.5 + 1.3 * s, 500)[:, None]
        heights = np.trapezoid(rho / s**2 * np.exp(-0.5 * ((rho - d) / s) ** 2) * i0e(rho * d / s**2), rho, axis=1)
        radii[k] = np.interp(-0.5 * heights[0], -heights, d[:, 0])
    return radii, widths


def blurred_disc(r: Floats, blur: Floats) -> Floats:
    """Half height radius of discs of radius r under a blur of standard deviation blur, in px, each (n,)."""
    radii, widths = _spread()
    s = blur / r
    # A far wider blur makes a Gaussian of variance r^2 / 4 + blur^2 of it.
    return np.where(s > 15, HALF_SHARE * np.hypot(0.5 * r, blur), r * np.interp(s, widths, radii))


def rim_after(droplets: Droplets, blur: float) -> Floats:
    """The outer rim of each droplet after the blur, in px of the painted grid, shape (n,).

    A Gaussian of half width r becomes one of sqrt(r^2 + 2 log 2 blur^2). A body whose edge of width e is half at r is,
    to second order, a disc of r + e^2 / 2r under a blur of e. Rings have been placed so that their rim is at r after
    the blur.

    Args:
        droplets: as painted.
        blur: standard deviation in px of the painted grid.
    """
    r, edge = droplets.r, np.minimum(droplets.edge, 0.5 * droplets.r)
    spot = np.hypot(r, HALF_SHARE * blur)
    body = blurred_disc(r + edge**2 / (2 * r), np.hypot(edge, blur))
    return np.where(droplets.ring1 != 0, r, droplets.gauss * spot + (1 - droplets.gauss) * body)
