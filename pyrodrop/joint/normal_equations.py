"""The normal equations of the model ``measured`` around a state: sparse over droplets, dense in what they share.

Unknowns, in transformed space: each droplet's x, y, log r and C amplitudes, which meet only those of droplets whose
windows share pixels; then the shared parameters, which meet all: log edge and curve of the profile, and the
background's control points. Their precision is J^T J / sigma^2 plus that of the priors, J the derivatives of the image.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyrodrop.models.bspline_background import spline_basis
from pyrodrop.models.multichannel_fit import CURVE_SD, LOG_EDGE_SD, LOG_NOISE_SD, LOG_RADIUS_SD, Scales
from pyrodrop.rendering import SHAPES
from pyrodrop.rendering.kernels.windows import curve_of, kernels

Array = NDArray[np.float64]
# Where a droplet is cut: a Gaussian at so many radii, an edge at so many of its widths. What is left out is at most
# 1.2e-4 of an amplitude, or 1.3e-5: far below the noise of any image in which droplets can be measured.
CUT = {"gaussian": 4.25, "disc": 4.2, "radial": 4.2}
LINEAR = 3  # the first of a droplet's unknowns in which the image is linear


@dataclass(frozen=True)
class State:
    """A point in the model's transformed space: x, y, log_r (N,), amplitude (C, N), shape (S,), bg (C, points).

    shape is that of the renderer with the log of the edge's width in place of the width.
    """

    x: Array
    y: Array
    log_r: Array
    amplitude: Array
    shape: Array
    bg: Array

    @property
    def rendered_shape(self) -> Array:
        """The renderer's shape parameters."""
        made: Array = np.concatenate([np.exp(self.shape[:1]), self.shape[1:]])
        return made

    def moved(self, droplets: Array, shared: Array) -> "State":
        """The state after steps of shape (N, 3 + C) and (S + C points,)."""
        s = len(self.shape)
        return replace(
            self,
            x=self.x + droplets[:, 0],
            y=self.y + droplets[:, 1],
            log_r=self.log_r + droplets[:, 2],
            amplitude=self.amplitude + droplets[:, 3:].T,
            shape=self.shape + shared[:s],
            bg=self.bg + shared[s:].reshape(self.bg.shape),
        )


@dataclass(frozen=True)
class Problem:
    """What is fitted: channels (C, H, W) float64, the profile and the priors' scales."""

    channels: Array
    profile: str
    scales: Scales

    @property
    def n_shared(self) -> int:
        """Number of shared parameters."""
        return SHAPES[self.profile] + self.channels.shape[0] * self.points

    @property
    def points(self) -> int:
        """Control points of one channel's background."""
        return self.down.shape[1] * self.along.shape[1]

    @cached_property
    def down(self) -> Array:
        return spline_basis(self.channels.shape[1], self.scales.spacing)

    @cached_property
    def along(self) -> Array:
        return spline_basis(self.channels.shape[2], self.scales.spacing)

    @cached_property
    def ground_gram(self) -> Array:
        """Products of the background's splines with each other, shape (points, points)."""
        made: Array = np.kron(self.down.T @ self.down, self.along.T @ self.along).astype(np.float64, copy=False)
        return made

    def ground(self, bg: Array) -> Array:
        """Background (C, H, W) of control points (C, points)."""
        grid = bg.reshape(-1, self.down.shape[1], self.along.shape[1])
        made: Array = np.matmul(self.down @ grid, self.along.T)
        return made


class Columns(NamedTuple):
    """The droplets of a state and their derivatives, each in its window; see ``window_sums``."""

    kept: NDArray[np.float32]
    box: NDArray[np.int64]
    before: NDArray[np.int64]
    number: int


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
    from pyrodrop.joint import window_sums as window_sums

    return window_sums


def columns_of(problem: Problem, state: State) -> Columns:
    """All droplets' heights and derivatives."""
    loops = compiled()
    code, cut, shape = kernels().CODES[problem.profile], CUT[problem.profile], state.rendered_shape
    curve, basis = curve_of(problem.profile, shape)
    number, r = 4 + len(shape), np.exp(state.log_r)
    box, before = loops.boxes(code, cut, state.x, state.y, r, shape, *problem.channels.shape[1:])
    kept = np.empty(before[-1] * number, np.float32)
    loops.fill(code, cut, state.x, state.y, r, shape, curve, basis, box, before, number, kept)
    return Columns(kept, box, before, number)


def residual_of(problem: Problem, state: State, columns: Columns) -> Array:
    """Channels less the image of the state, shape (C, H, W)."""
    image = problem.ground(state.bg)
    compiled().paint(*columns, np.ascontiguousarray(state.amplitude), image)
    made: Array = problem.channels - image
    return made


def energy(problem: Problem, state: State, residual: Array, noise: Array) -> float:
    """Negative log density of the model at the state and the noise (C,), but for constants of the priors."""
    pixels = problem.channels[0].size
    scales = problem.scales
    total = (np.square(residual).sum((1, 2)) / (2 * noise**2)).sum() + pixels * np.log(noise).sum()
    total += np.square(np.log(noise / scales.noise)).sum() / (2 * LOG_NOISE_SD**2)
    total += np.square(state.log_r - np.log(scales.radius_px)).sum() / (2 * LOG_RADIUS_SD**2)
    total += np.square(state.amplitude / scales.amplitude[:, None]).sum() / 2
    total += np.square((state.bg - scales.level[:, None]) / scales.spread[:, None]).sum() / 2
    total += np.square(state.shape * shape_precision(problem) ** 0.5).sum() / 2
    return float(total)


def shape_precision(problem: Problem) -> Array:
    """Prior precision of the shape parameters, shape (S,), whose means are all 0."""
    spreads = [LOG_EDGE_SD] + [CURVE_SD] * (SHAPES[problem.profile] - 1)
    made: Array = np.array(spreads[: SHAPES[problem.profile]], dtype=np.float64) ** -2.0
    return made


def equations_of(problem: Problem, state: State, columns: Columns, residual: Array, noise: Array) -> Equations:
    """Precision and gradient of the model at the state, by Gauss and Newton, for the noise (C,)."""
    loops, scales = compiled(), problem.scales
    channels, n = problem.channels.shape[0], len(state.x)
    shapes, points, number = len(state.shape), problem.points, columns.number
    weight, a = noise**-2.0, state.amplitude
    pairs = loops.meetings(columns.box)
    products = np.empty((len(pairs), number, number))
    loops.gram(*columns, pairs, products)
    # Windows that only touch at their corners would fill the factors in vain.
    meet = (pairs[:, 0] == pairs[:, 1]) | products.any((1, 2))
    pairs, products = pairs[meet], products[meet]
    i, j = pairs.T
    together = np.einsum("c,cp,cp->p", weight, a[:, i], a[:, j])

    width = LINEAR + channels
    blocks = np.zeros((len(pairs), width, width))
    blocks[:, :3, :3] = together[:, None, None] * products[:, 1:4, 1:4]
    for c in range(channels):
        blocks[:, 3 + c, :3] = (weight[c] * a[c, j])[:, None] * products[:, 0, 1:4]
        blocks[:, :3, 3 + c] = (weight[c] * a[c, i])[:, None] * products[:, 1:4, 0]
        blocks[:, 3 + c, 3 + c] = weight[c] * products[:, 0, 0]
    height, wide = problem.channels.shape[1:]
    own = i == j
    # The uniform priors of x and y stand as normals of their variance, which keeps a droplet of no height in hand.
    prior = np.concatenate([[12 / wide**2, 12 / height**2, LOG_RADIUS_SD**-2.0], scales.amplitude**-2.0])
    blocks[own] += np.diag(prior)

    coupling = np.zeros((n, width, problem.n_shared))
    shared = np.zeros((problem.n_shared, problem.n_shared))
    if shapes:
        for some, other, product, two in (
            (i, j, products, together),
            (j[~own], i[~own], products[~own].transpose(0, 2, 1), together[~own]),
        ):
            np.add.at(coupling[:, :3, :shapes], some, two[:, None, None] * product[:, 1:4, 4:])
            for c in range(channels):
                lit = (weight[c] * a[c, other])[:, None] * product[:, 0, 4:]
                np.add.at(coupling[:, 3 + c, :shapes], some, lit)
            shared[:shapes, :shapes] += np.einsum("p,pst->st", two, product[:, 4:, 4:])
        shared[:shapes, :shapes] += np.diag(shape_precision(problem))
    splines = np.zeros((n, number, points))
    loops.ground(*columns, *_four(problem.down), *_four(problem.along), problem.along.shape[1], splines)
    for c in range(channels):
        here = slice(shapes + c * points, shapes + (c + 1) * points)
        coupling[:, :3, here] = (weight[c] * a[c])[:, None, None] * splines[:, 1:4]
        coupling[:, 3 + c, here] = weight[c] * splines[:, 0]
        shared[:shapes, here] = weight[c] * np.einsum("n,nsm->sm", a[c], splines[:, 4:])
        shared[here, :shapes] = shared[:shapes, here].T
        shared[here, here] = weight[c] * problem.ground_gram + np.eye(points) * scales.spread[c] ** -2.0

    pulled = np.empty((n, channels, number))
    loops.project(*columns, residual, pulled)
    droplet_gradient, shared_gradient = np.zeros((n, width)), np.zeros(problem.n_shared)
    droplet_gradient[:, :3] = -np.einsum("c,cn,ncp->np", weight, a, pulled[:, :, 1:4])
    droplet_gradient[:, 2] += (state.log_r - np.log(scales.radius_px)) / LOG_RADIUS_SD**2
    droplet_gradient[:, 3:] = -weight * pulled[:, :, 0] + (a / scales.amplitude[:, None] ** 2).T
    shared_gradient[:shapes] = -np.einsum("c,cn,ncs->s", weight, a, pulled[:, :, 4:]) + state.shape * shape_precision(
        problem
    )
    pull = weight[:, None] * (problem.down.T @ residual @ problem.along).reshape(channels, points)
    shared_gradient[shapes:] = (-pull + (state.bg - scales.level[:, None]) / scales.spread[:, None] ** 2).ravel()
    shared_prior = np.concatenate([shape_precision(problem), np.repeat(scales.spread**-2.0, points)])
    return Equations(pairs, blocks, coupling, shared, shared_prior, droplet_gradient, shared_gradient)


def _four(basis: Array) -> tuple[Array, NDArray[np.int64]]:
    """The four weights of each row of a spline basis that are not always zero, and which the first is."""
    first = np.minimum((basis != 0).argmax(1), basis.shape[1] - 4)
    return np.ascontiguousarray(np.take_along_axis(basis, first[:, None] + np.arange(4), 1)), first
