"""Flags of a droplet: the words in the table that say what to be wary of, and what each is decided from."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyrodrop.results.checks.residuals import DropletResiduals
from pyrodrop.results.statistics.edge_distance import edge_distance

Array = NDArray[np.float64]


class MeasuredDroplets(NamedTuple):
    """What the flags of N droplets are decided from.

    Attributes:
        x, y, radius, amplitude: posterior means of each droplet, (N,); lengths in px.
        size: height and width (H, W) of the image in px.
        noise: standard deviation of a pixel's noise, in units of the amplitude.
        residuals: the residual inside each circle; None, where it is not known, raises no flag.
        at_bounds: droplets that the fit held back at an edge of where they may lie, (N,), or None.
        sigma: of Gaussians whose radius is that of half height, their standard deviation in px, (N,); else None.
        looked_at: pixels that were looked at, (H, W); None for all.
    """

    x: Array
    y: Array
    radius: Array
    amplitude: Array
    size: tuple[int, int]
    noise: float
    residuals: DropletResiduals | None = None
    at_bounds: NDArray[np.bool_] | None = None
    sigma: Array | None = None
    looked_at: NDArray[np.bool_] | None = None


Flag = Callable[[MeasuredDroplets], NDArray[np.bool_]]
FLAGS: dict[str, tuple[str, Flag]] = {}


def flag(name: str, meaning: str) -> Callable[[Flag], Flag]:
    """Register a function of ``MeasuredDroplets`` that says of each droplet whether the flag ``name`` applies."""

    def register(decide: Flag) -> Flag:
        FLAGS[name] = (meaning, decide)
        return decide

    return register


@flag("border", "the circle reaches beyond the image, or beyond what of it was looked at")
def _border(c: MeasuredDroplets) -> NDArray[np.bool_]:
    return edge_distance(c.x, c.y, c.size, c.looked_at) < c.radius


@flag("overlapping", "its circle meets another droplet's")
def _overlapping(c: MeasuredDroplets) -> NDArray[np.bool_]:
    from scipy.spatial import cKDTree

    centres = np.stack([c.x, c.y], 1)
    meets = np.zeros(len(c.x), bool)
    if len(c.x) == 0:
        return meets
    # Sorted by radius, a droplet needs to look only as far as twice its own radius for smaller ones.
    tree = cKDTree(centres)
    for i, near in enumerate(tree.query_ball_point(centres, 2 * c.radius)):
        for j in near:
            if j != i and c.radius[j] <= c.radius[i]:
                apart = np.hypot(*(centres[i] - centres[j]))
                if apart < c.radius[i] + c.radius[j]:
                    meets[i] = meets[j] = True
    return meets


@flag("faint", "its signal to noise, amplitude * radius * sqrt(pi) / noise, of a Gaussian by its sigma, is below 5")
def _faint(c: MeasuredDroplets) -> NDArray[np.bool_]:
    radius = c.radius if c.sigma is None else c.sigma
    return np.abs(c.amplitude) * radius * np.sqrt(np.pi) < 5 * c.noise


@flag("prior_edge", "the fit held it back at an edge of what was allowed")
def _prior_edge(c: MeasuredDroplets) -> NDArray[np.bool_]:
    return np.zeros(len(c.x), bool) if c.at_bounds is None else c.at_bounds


@flag(
    "residual",
    "inside its circle the residual has more than twice the noise's mean square, beyond chance",
)
def _residual(c: MeasuredDroplets) -> NDArray[np.bool_]:
    if c.residuals is None:
        return np.zeros(len(c.x), bool)
    # By the first alone a droplet of three pixels would be flagged by chance, by the second a large one for a trifle.
    return (c.residuals.reduced > 2) & (c.residuals.sigmas > 4)
