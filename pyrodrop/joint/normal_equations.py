"""The normal equations of the joint fit around a state: sparse over droplets, dense in what they share.

Unknowns, in transformed space: each droplet's x, y, log r and C amplitudes, which meet only those of droplets whose
windows share pixels; then the shared parameters, which meet all: the numbers of the profile, and the
background's control points. Their precision is J^T J / sigma^2 plus that of the priors, J the derivatives of the image.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pyrodrop.joint.priors import Array
from pyrodrop.joint.problem import Problem, State
from pyrodrop.joint.sums.engine import Image, Pictures

# Side in px of the squares that tell how far noise goes together, and standard errors that are no chance.
BLOCK, CLEAR = 8, 4.5
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


def columns_of(problem: Problem, state: State) -> Pictures:
    """All droplets' heights and derivatives, zero in pixels that are not known, and times the roots of the weights."""
    return _columns(problem, state, problem.pixels.weight)


def _columns(problem: Problem, state: State, weight: Image | None) -> Pictures:
    pixels = problem.pixels
    return pixels.engine.columns(problem.drawn, state.places, problem.shapes(state), pixels.size, weight)


def residual_of(problem: Problem, state: State, columns: Pictures) -> Image:
    """Channels less the image of the state, shape (C, H, W), zero in pixels that are not known, and times the roots of
    the weights.
    """
    pixels, image = problem.pixels, problem.background(state.bg)
    if pixels.weights is not None:
        image = (image - pixels.image) * pixels.weight
        pixels.engine.paint(columns, state.amplitude, image)
        return -image
    pixels.engine.paint(columns, state.amplitude, image)
    residual = pixels.image - image
    return residual if pixels.weight is None else residual * pixels.weight


def squares(problem: Problem, residual: Image) -> Array:
    """Sum of the squared residual of each channel, (C,)."""
    return problem.pixels.engine.array((residual * residual).sum((1, 2)))


def pixels_that_count_once(problem: Problem, residual: Image) -> float:
    """How many pixels say what one does: the variance of the residual's means over squares of ``BLOCK`` px a side as a
    share of that of independent pixels; 1 where it is not clearly more.

    As many times the variance of an estimate is that of independent noise (``posterior.inflation_of``), and as little
    does log density count.
    """
    count, height, width = residual.shape
    rows, columns = height // BLOCK, width // BLOCK
    if not rows * columns:
        return 1.0
    whole = residual[:, : rows * BLOCK, : columns * BLOCK]
    # One axis at a time, of which the first is by far the longer way.
    means = whole.reshape(count, rows, BLOCK, -1).sum(2).reshape(count, rows, columns, BLOCK).sum(3) / BLOCK**2
    of_means = problem.pixels.engine.array((means * means).mean((1, 2)))
    of_pixels = squares(problem, residual) / (height * width)
    share = float((BLOCK**2 * of_means / np.maximum(of_pixels, 1e-300)).mean())
    return share if share > 1 + CLEAR * np.sqrt(2 / (count * rows * columns)) else 1.0


def energy(problem: Problem, state: State, residual: Image, noise: Array) -> float:
    """Negative log density of the model at the state and the noise (C,), but for constants of the priors."""
    number, priors = problem.pixels.known_number, problem.priors
    total = (squares(problem, residual) / (2 * noise**2)).sum() + number * np.log(noise).sum()
    total += priors.log_noise.energy(np.log(noise / problem.unit)) + priors.log_r.energy(state.log_r)
    total += priors.amplitude.energy(state.amplitude.T) + priors.bg.energy(state.bg) + priors.shape.energy(state.shape)
    return float(total)


def equations_of(problem: Problem, state: State, columns: Pictures, residual: Image, noise: Array) -> Equations:
    """Precision and gradient of the model at the state, by Gauss and Newton, for the noise (C,)."""
    alone = equations_of_droplets(problem, state, columns, residual, noise)
    engine, grid, priors = problem.pixels.engine, problem.grid, problem.priors
    channels, n = problem.pixels.count, len(state.x)
    shapes, points = len(state.shape), problem.points
    weight, a = noise**-2.0, state.amplitude

    coupling = np.zeros((n, LINEAR + channels, problem.n_shared))
    shared = np.zeros((problem.n_shared, problem.n_shared))
    shared_gradient = np.zeros(problem.n_shared)
    # The splines have no weights, which are then all in what they are multiplied with.
    root = None if problem.pixels.weights is None else problem.pixels.weight
    weighed = columns if root is None else _columns(problem, state, root * root)
    splines = engine.on_splines(weighed, grid, LINEAR + 1)
    on_grid = residual if root is None else residual * root
    shared_gradient[shapes:] = -(weight[:, None] * engine.array(grid.products(on_grid))).ravel()
    for c in range(channels):
        here = slice(shapes + c * points, shapes + (c + 1) * points)
        coupling[:, :3, here] = (weight[c] * a[c])[:, None, None] * splines[:, 1:]
        coupling[:, 3 + c, here] = weight[c] * splines[:, 0]
        shared[here, here] = weight[c] * problem.background_gram
        if not shapes:
            continue
        # The image's derivatives by what shapes all droplets: their products are those of all pairs that meet.
        by_shape = engine.painted_shared(columns, a[c], problem.pixels.size)
        products = engine.project(columns, by_shape, LINEAR + 1)
        coupling[:, :3, :shapes] += np.einsum("n,nsp->nps", weight[c] * a[c], products[..., 1:])
        coupling[:, 3 + c, :shapes] = weight[c] * products[..., 0]
        flat = by_shape.reshape(shapes, -1)
        shared[:shapes, :shapes] += weight[c] * engine.array(flat @ flat.T)
        with_background = by_shape if root is None else by_shape * root
        shared[:shapes, here] = weight[c] * engine.array(grid.products(with_background))
        shared[here, :shapes] = shared[:shapes, here].T
        shared_gradient[:shapes] -= weight[c] * engine.array(flat @ residual[c].reshape(-1))
    shared_gradient[:shapes] += priors.shape.slope(state.shape)
    shared_gradient[shapes:] += priors.bg.slope(state.bg).ravel()
    shared_prior = priors.shared_precision(state.shape, state.bg)
    shared[np.diag_indices(len(shared))] += shared_prior
    return replace(alone, coupling=coupling, shared=shared, shared_prior=shared_prior, shared_gradient=shared_gradient)


def equations_of_droplets(
    problem: Problem, state: State, columns: Pictures, residual: Image, noise: Array
) -> Equations:
    """The same with all that the droplets share held, so that nothing is shared; of all droplets, or of some of them
    while the others stay. With own edges, these are the last of each droplet's unknowns.
    """
    engine, priors = problem.pixels.engine, problem.priors
    channels, n = problem.pixels.count, len(state.x)
    weight, a = noise**-2.0, state.amplitude
    pairs = meetings(columns.box)
    # The height, and its derivatives by what it is curved in: the first unknowns, and an own edge, which is the last.
    pictures, curved = np.arange(LINEAR + 1), np.arange(LINEAR)
    if state.edge is not None:
        pictures, curved = np.append(pictures, LINEAR + 1 + problem.edge_number), np.append(curved, LINEAR + channels)
    if problem.drawn.gaussian and problem.pixels.weight is None:  # with gaps it is no product of a row and a column
        from pyrodrop.joint.sums.separable import gram_of_gaussians

        r = np.exp(state.log_r)
        ends = problem.drawn.support(r, np.zeros(0), problem.drawn.left_out)
        products = np.empty((len(pairs), LINEAR + 1, LINEAR + 1))
        gram_of_gaussians(state.x, state.y, r, columns.box, pairs, products)
        apart = np.hypot(np.diff(state.x[pairs], axis=1), np.diff(state.y[pairs], axis=1))[:, 0]
        products[apart > ends[pairs].sum(1)] = 0.0
    else:
        products = engine.gram(columns, pairs, 1 + int(pictures.max()))[:, pictures[:, None], pictures]
    # Windows that only touch at their corners would fill the factors in vain.
    meet = (pairs[:, 0] == pairs[:, 1]) | products.any((1, 2))
    pairs, products = pairs[meet], products[meet]
    i, j = pairs.T
    together = np.einsum("c,cp,cp->p", weight, a[:, i], a[:, j])

    width = len(curved) + channels
    blocks = np.zeros((len(pairs), width, width))
    blocks[:, curved[:, None], curved] = together[:, None, None] * products[:, 1:, 1:]
    for c in range(channels):
        blocks[:, 3 + c, curved] = (weight[c] * a[c, j])[:, None] * products[:, 0, 1:]
        blocks[:, curved, 3 + c] = (weight[c] * a[c, i])[:, None] * products[:, 1:, 0]
        blocks[:, 3 + c, 3 + c] = weight[c] * products[:, 0, 0]
    first = np.arange(LINEAR + channels)
    own = np.flatnonzero(i == j)
    blocks[own[:, None], first, first] += priors.droplet_precision(state.log_r, a)[i[own]]

    projected = engine.project(columns, residual, 1 + int(pictures.max()))[:, :, pictures]
    gradient = np.zeros((n, width))
    gradient[:, curved] = -np.einsum("c,cn,ncp->np", weight, a, projected[:, :, 1:])
    gradient[:, 2] += priors.log_r.slope(state.log_r)
    gradient[:, 3 : 3 + channels] = -weight * projected[:, :, 0] + priors.amplitude.slope(a.T)
    if state.edge is not None:
        blocks[i == j, -1, -1] += problem.own_edge(state).precision
        gradient[:, -1] += problem.own_edge(state).slope(state.edge)
    none = np.zeros(0)
    return Equations(pairs, blocks, np.zeros((n, width, 0)), np.zeros((0, 0)), none, gradient, none)


def meetings(box: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pairs (i, j), i <= j, of boxes (N, 4) that share a pixel, shape (pairs, 2); each with itself too."""
    from pyrodrop.joint.sums.windows import meetings as compiled  # importing Numba is left to who needs it

    return np.asarray(compiled(box))
