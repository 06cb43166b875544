"""The normal equations of the joint fit around a state: sparse over droplets, dense in what they share.

Unknowns, in transformed space: each droplet's x, y, log r and C amplitudes, which meet only those of droplets whose
windows share pixels; then the shared parameters, which meet all: the numbers of the profile, and the
background's control points. Their precision is J^T J / sigma^2 plus that of the priors, J the derivatives of the image.
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyrodrop.joint.priors import Array
from pyrodrop.joint.problem import Problem, State
from pyrodrop.rendering.kernels.columns import Columns, columns_of_droplets

LINEAR = 3  # the first of a droplet's unknowns in which the image is linear


@dataclass(frozen=True)
class Equations:
    """Precision and gradient at a state.

    Attributes:
        pairs: droplets that meet, i <= j, shape (pairs, 2).
        blocks: their blocks of the precision, shape (pairs, D, D) with D = 3 + C.
        coupling: droplets against the shared parameters, shape (N, D, shared).
        shared: the shared parameters' own block.
        shared_prior: the precision of the shared parameters' priors, which is on their block's diagonal, (shared,).
        droplet_gradient, shared_gradient: of the negative log density, shapes (N, D) and (shared,).
    """

    pairs: NDArray[np.int64]
    blocks: Array
    coupling: Array
    shared: Array
    shared_prior: Array
    droplet_gradient: Array
    shared_gradient: Array


def compiled() -> Any:
    """The compiled sums; importing Numba is left to who needs it."""
    from pyrodrop.joint.sums import windows

    return windows


def columns_of(problem: Problem, state: State) -> Columns:
    """All droplets' heights and derivatives."""
    profile, (height, width) = problem.drawn, problem.channels.shape[1:]
    shape, r = profile.constrained(state.shape), np.exp(state.log_r)
    return columns_of_droplets(profile, state.x, state.y, r, shape, (height, width), profile.left_out)


def residual_of(problem: Problem, state: State, columns: Columns) -> Array:
    """Channels less the image of the state, shape (C, H, W)."""
    image = problem.background(state.bg)
    paint(columns, state.amplitude, image)
    return np.asarray(problem.channels - image)


def paint(columns: Columns, amplitude: Array, image: Array) -> None:
    """Add the droplets times amplitude, (C, N), to the image, (C, H, W)."""
    compiled().paint(columns, np.ascontiguousarray(amplitude), image)


def energy(problem: Problem, state: State, residual: Array, noise: Array) -> float:
    """Negative log density of the model at the state and the noise (C,), but for constants of the priors."""
    pixels, priors = problem.channels[0].size, problem.priors
    total = (np.square(residual).sum((1, 2)) / (2 * noise**2)).sum() + pixels * np.log(noise).sum()
    total += priors.log_noise.energy(np.log(noise)) + priors.log_r.energy(state.log_r)
    total += priors.amplitude.energy(state.amplitude.T) + priors.bg.energy(state.bg) + priors.shape.energy(state.shape)
    return float(total)


def equations_of(problem: Problem, state: State, columns: Columns, residual: Array, noise: Array) -> Equations:
    """Precision and gradient of the model at the state, by Gauss and Newton, for the noise (C,)."""
    alone = equations_of_droplets(problem, state, columns, residual, noise)
    loops, priors = compiled(), problem.priors
    channels, n = problem.channels.shape[0], len(state.x)
    shapes, points = len(state.shape), problem.points
    weight, a = noise**-2.0, state.amplitude

    coupling = np.zeros((n, LINEAR + channels, problem.n_shared))
    shared = np.zeros((problem.n_shared, problem.n_shared))
    shared_gradient = np.zeros(problem.n_shared)
    splines = np.zeros((n, LINEAR + 1, points))
    loops.with_background(columns, _four(problem.down), _four(problem.along), splines)
    for c in range(channels):
        here = slice(shapes + c * points, shapes + (c + 1) * points)
        coupling[:, :3, here] = (weight[c] * a[c])[:, None, None] * splines[:, 1:]
        coupling[:, 3 + c, here] = weight[c] * splines[:, 0]
        shared[here, here] = weight[c] * problem.background_gram
        shared_gradient[here] = -weight[c] * (problem.down.T @ residual[c] @ problem.along).ravel()
        if not shapes:
            continue
        # The image's derivatives by what shapes all droplets: their products are those of all pairs that meet.
        by_shape = np.zeros((shapes, *residual.shape[1:]))
        loops.paint_shared(columns, a[c], by_shape)
        products = np.empty((n, shapes, LINEAR + 1))
        loops.project(columns, by_shape, products)
        coupling[:, :3, :shapes] += np.einsum("n,nsp->nps", weight[c] * a[c], products[..., 1:])
        coupling[:, 3 + c, :shapes] = weight[c] * products[..., 0]
        flat = by_shape.reshape(shapes, -1)
        shared[:shapes, :shapes] += weight[c] * (flat @ flat.T)
        shared[:shapes, here] = weight[c] * (problem.down.T @ by_shape @ problem.along).reshape(shapes, points)
        shared[here, :shapes] = shared[:shapes, here].T
        shared_gradient[:shapes] -= weight[c] * (flat @ residual[c].ravel())
    shared_gradient[:shapes] += priors.shape.slope(state.shape)
    shared_gradient[shapes:] += priors.bg.slope(state.bg).ravel()
    shared_prior = priors.shared_precision
    shared[np.diag_indices(len(shared))] += shared_prior
    return replace(alone, coupling=coupling, shared=shared, shared_prior=shared_prior, shared_gradient=shared_gradient)


def equations_of_droplets(problem: Problem, state: State, columns: Columns, residual: Array, noise: Array) -> Equations:
    """The same with all that the droplets share held, so that nothing is shared; of all droplets, or of some of them
    while the others stay.
    """
    loops, priors = compiled(), problem.priors
    channels, n = problem.channels.shape[0], len(state.x)
    weight, a = noise**-2.0, state.amplitude
    pairs = loops.meetings(columns.box)
    products = np.empty((len(pairs), LINEAR + 1, LINEAR + 1))
    if problem.drawn.gaussian:
        from pyrodrop.joint.sums.separable import gram_of_gaussians

        r = np.exp(state.log_r)
        ends = problem.drawn.support(r, np.zeros(0), problem.drawn.left_out)
        gram_of_gaussians(state.x, state.y, r, columns.box, pairs, products)
        apart = np.hypot(np.diff(state.x[pairs], axis=1), np.diff(state.y[pairs], axis=1))[:, 0]
        products[apart > ends[pairs].sum(1)] = 0.0
    else:
        loops.gram(columns, pairs, products)
    # Windows that only touch at their corners would fill the factors in vain.
    meet = (pairs[:, 0] == pairs[:, 1]) | products.any((1, 2))
    pairs, products = pairs[meet], products[meet]
    i, j = pairs.T
    together = np.einsum("c,cp,cp->p", weight, a[:, i], a[:, j])

    width = LINEAR + channels
    blocks = np.zeros((len(pairs), width, width))
    blocks[:, :3, :3] = together[:, None, None] * products[:, 1:, 1:]
    for c in range(channels):
        blocks[:, 3 + c, :3] = (weight[c] * a[c, j])[:, None] * products[:, 0, 1:]
        blocks[:, :3, 3 + c] = (weight[c] * a[c, i])[:, None] * products[:, 1:, 0]
        blocks[:, 3 + c, 3 + c] = weight[c] * products[:, 0, 0]
    blocks[i == j] += np.diag(priors.droplet_precision)

    projected = np.empty((n, channels, LINEAR + 1))
    loops.project(columns, residual, projected)
    gradient = np.zeros((n, width))
    gradient[:, :3] = -np.einsum("c,cn,ncp->np", weight, a, projected[:, :, 1:])
    gradient[:, 2] += priors.log_r.slope(state.log_r)
    gradient[:, 3:] = -weight * projected[:, :, 0] + priors.amplitude.slope(a.T)
    none = np.zeros(0)
    return Equations(pairs, blocks, np.zeros((n, width, 0)), np.zeros((0, 0)), none, gradient, none)


class Splines(NamedTuple):
    """Of each pixel along an axis: the four weights that are not always zero, shape (length, 4), and the number of the
    first of their control points, shape (length,); and how many control points there are.
    """

    weights: Array
    first: NDArray[np.int64]
    points: int


def _four(basis: Array) -> Splines:
    """A spline basis, shape (length, points), without its zeros."""
    first = np.minimum((basis != 0).argmax(1), basis.shape[1] - 4)
    four = np.take_along_axis(basis, first[:, None] + np.arange(4), 1)
    return Splines(np.ascontiguousarray(four), first, basis.shape[1])
