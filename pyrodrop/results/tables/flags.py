"""Flags of a droplet: the words in the table that say what to be wary of, and what each is decided from."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyrodrop.results.checks.residuals import DropletResiduals

Array = NDArray[np.float64]


class Context(NamedTuple):
    """What a flag is decided from: mean x, y, radius, amplitude of each droplet, the image's size and noise.

    What may not be known, and then raises no flag: the 5 % and 95 % quantiles of the radius (N,), the least and the
    greatest radius that the prior allows, what the model leaves over inside each circle, and which droplets the fit
    held back at an edge of where they may lie (N,).
    """

    x: Array
    y: Array
    radius: Array
    amplitude: Array
    size: tuple[int, int]
    noise: float
    radius_q05: Array | None = None
    radius_q95: Array | None = None
    radius_range: tuple[float, float] | None = None
    residuals: DropletResiduals | None = None
    held: NDArray[np.bool_] | None = None


Flag = Callable[[Context], NDArray[np.bool_]]
FLAGS: dict[str, tuple[str, Flag]] = {}


def flag(name: str, meaning: str) -> Callable[[Flag], Flag]:
    """Register a function of a ``Context`` that says of each droplet whether the flag ``name`` applies."""

    def register(decide: Flag) -> Flag:
        FLAGS[name] = (meaning, decide)
        return decide

    return register


@flag("border", "the circle reaches beyond the image")
def _border(c: Context) -> NDArray[np.bool_]:
    h, w = c.size
    left = np.minimum(c.x, w - 1 - c.x)
    top = np.minimum(c.y, h - 1 - c.y)
    return np.minimum(left, top) < c.radius


@flag("overlapping", "its circle meets another droplet's")
def _overlapping(c: Context) -> NDArray[np.bool_]:
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


@flag("faint", "its signal to noise, amplitude * radius * sqrt(pi) / noise for a Gaussian, is below 5")
def _faint(c: Context) -> NDArray[np.bool_]:
    return np.abs(c.amplitude) * c.radius * np.sqrt(np.pi) < 5 * c.noise


@flag("prior_edge", "it is held back at an edge of what was allowed, or its radius is within 2 % of one")
def _prior_edge(c: Context) -> NDArray[np.bool_]:
    if c.held is not None:
        return c.held
    if c.radius_range is None or c.radius_q05 is None or c.radius_q95 is None:
        return np.zeros(len(c.x), bool)
    least, greatest = c.radius_range
    return (c.radius_q05 <= 1.02 * least) | (c.radius_q95 >= greatest / 1.02)


@flag(
    "residual",
    "inside its circle what the model leaves over has more than twice the noise's mean square, beyond chance",
)
def _residual(c: Context) -> NDArray[np.bool_]:
    if c.residuals is None:
        return np.zeros(len(c.x), bool)
    # By the first alone a droplet of three pixels would be flagged by chance, by the second a large one for a trifle.
    return (c.residuals.reduced > 2) & (c.residuals.sigmas > 4)
