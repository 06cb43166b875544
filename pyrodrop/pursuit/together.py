"""All droplets of an image and its background fitted at once, and the evidence of the whole arrangement.

Normal equations couple only droplets that overlap, so they are sparse. A direct factorisation of them gives the
steps of Levenberg and Marquardt's damped Gauss-Newton method (Nocedal and Wright, Numerical Optimization, 2006,
chapter 10), and the determinant of Laplace's approximation to the evidence.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy import sparse

from pyrodrop.joint.sparse_solver import factorised
from pyrodrop.pursuit import joint
from pyrodrop.pursuit.arrangement import Arrangement, Bounds, Doubles
from pyrodrop.pursuit.refine import half_square

_DAMPING = 1e-3  # of the first step; a step that fails raises it tenfold, one that succeeds lowers it
_HOPELESS = 1e6  # damping at which no step helps any more


class NormalEquations(NamedTuple):
    """Those of Gauss-Newton steps in x / r, y / r, log r and amplitude of n droplets, and in the background.

    Attributes:
        matrix: (4 n, 4 n), sparse, of the droplets.
        border: (4 n,), of each with the background.
        pixels: of the background with itself.
    """

    matrix: sparse.csc_matrix
    border: Doubles
    pixels: int


def normal_equations(droplets: Doubles, size: tuple[int, int], limits: Doubles) -> NormalEquations:
    """The normal equations of droplets (n, 4) on an image of (H, W) pixels; limits as in ``refine.gain_of``."""
    height, width = size
    pairs = joint.pairs(droplets, np.argsort(droplets[:, 0], kind="stable"))
    blocks, border = joint.blocks(droplets, pairs, height, width, limits)
    row, column = np.meshgrid(np.arange(4), np.arange(4), indexing="ij")
    rows = (4 * pairs[:, 0, None, None] + row).ravel()
    columns = (4 * pairs[:, 1, None, None] + column).ravel()
    twice = np.repeat(pairs[:, 0] != pairs[:, 1], 16)  # each pair is listed once, and the matrix is symmetric
    entries = np.concatenate([blocks.ravel(), blocks.ravel()[twice]])
    places = np.concatenate([rows, columns[twice]]), np.concatenate([columns, rows[twice]])
    matrix = sparse.csc_matrix((entries, places), shape=(4 * len(droplets), 4 * len(droplets)))
    return NormalEquations(matrix, border.ravel(), height * width)


def settle(found: Arrangement, bounds: Bounds, limits: Doubles, steps: int, enough: float) -> float:
    """Fit all droplets and the background to the image at once, in place.

    A parameter on one of its limits that the slope pushes against it stays there.

    Args:
        found: the arrangement.
        bounds: what droplets and background may be.
        limits: (6,) as in ``refine.gain_of``.
        steps: the most steps, failed ones among them.
        enough: a step that lowers the cost by less than this is the last, and one that promises less is not taken.

    Returns:
        The cost: half the sum of squares of the residual, and the prior's share of it.
    """
    height, width = found.residual.shape
    cost = half_square(found.residual) + joint.prior_cost(found.droplets, limits)
    damping, slope, normal = _DAMPING, np.empty((0, 4)), None
    for _ in range(steps if len(found.droplets) else 0):
        if normal is None:
            normal = normal_equations(found.droplets, (height, width), limits)
            slope = joint.slopes(found.residual, found.droplets, limits)
            free = 1.0 - joint.held(found.droplets, slope, height, width, limits).ravel()
        rise = float(found.residual.sum(dtype=np.float64))
        step, level = _step(found, normal, slope.ravel() * free, rise, free, damping, bounds.background)
        # What the normal equations promise; no step that promises less than enough is worth trying.
        if 0.5 * (step.ravel() @ (slope.ravel() * free) + rise * (level - found.background)) < enough:
            break
        there = joint.moved(found.droplets, step, height, width, limits)
        residual = found.residual.copy()
        joint.change(residual, found.droplets, there, level - found.background)
        reached = half_square(residual) + joint.prior_cost(there, limits)
        if reached < cost:
            gain, cost = cost - reached, reached
            found.droplets, found.background, found.residual = there, level, residual
            damping, normal = max(damping * 0.1, 1e-9), None
            if gain < enough:
                break
        else:
            damping = max(10.0 * damping, _DAMPING)
            if damping > _HOPELESS:
                break
    return float(cost)


def _step(
    found: Arrangement,
    normal: NormalEquations,
    slope: Doubles,
    rise: float,
    free: Doubles,
    damping: float,
    levels: tuple[float, float],
) -> tuple[Doubles, float]:
    """A damped step (n, 4) of the droplets, and the background that goes with it."""
    freely = sparse.diags(free)
    diagonal = free * (damping * normal.matrix.diagonal() + 1e-12) + (1.0 - free)
    border = normal.border * free
    factor = factorised(freely @ normal.matrix @ freely + sparse.diags(diagonal))
    alone, with_level = factor.solve(np.column_stack([slope, border])).T
    # The background by elimination: it is coupled to every droplet and would make the matrix dense.
    level = found.background + (rise - border @ alone) / max(normal.pixels - border @ with_level, 1e-9 * normal.pixels)
    level = min(max(level, levels[0]), levels[1])
    return (alone - with_level * (level - found.background)).reshape(-1, 4), level


def log_evidence(found: Arrangement, bounds: Bounds, limits: Doubles) -> float:
    """Log of the evidence for an arrangement of n droplets by Laplace's approximation, but for a constant.

    It is the likelihood at the arrangement, which should have settled, times the prior density of the droplets there,
    times the volume (2 pi)^(m/2) / sqrt(det) of the posterior of all m = 4 n + 1 parameters together, times n!, for
    labels can be exchanged in so many ways, each a mode of the same height (Stephens, "Dealing with label switching
    in mixture models", JRSS B 2000). No direction of the posterior is wider than the prior: to the Fisher information
    is added the precision of a normal as wide as each uniform prior.
    """
    height, width = found.residual.shape
    n, variance = len(found.droplets), bounds.error_scale**2
    fit = -half_square(found.residual) / variance
    if n == 0:
        return float(fit + 0.5 * math.log(2 * math.pi * variance / (height * width)))
    normal = normal_equations(found.droplets, (height, width), limits)
    mean, sd = bounds.log_radius
    r = found.droplets[:, 2]
    low, high = bounds.amplitude
    least = np.zeros((n, 4))
    least[:, 0], least[:, 1], least[:, 3] = 12 * (r / width) ** 2, 12 * (r / height) ** 2, 12 / (high - low) ** 2
    factor = factorised(normal.matrix / variance + sparse.diags(least.ravel()))
    border = normal.border / variance
    determinant = float(np.log(np.abs(factor.U.diagonal())).sum())
    determinant += math.log(normal.pixels / variance - border @ factor.solve(border))
    z = (np.log(r) - mean) / sd
    # The density of x / r, y / r and log r is that of x, y and r times r^3.
    if bounds.log_prior is None:
        density = -0.5 * z**2 - math.log(sd * math.sqrt(2 * math.pi)) + 2 * np.log(r)
        density -= math.log(width * height * (high - low))
    else:
        density = bounds.log_prior(r, found.droplets[:, 3]) + 3 * np.log(r) - math.log(width * height)
    volume = 0.5 * (4 * n + 1) * math.log(2 * math.pi) - 0.5 * determinant
    return float(fit + density.sum() + volume + math.lgamma(n + 1))
