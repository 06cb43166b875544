"""How far droplets may go: in one step, and from where they were found."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyrodrop.joint.pixels import Pixels
from pyrodrop.joint.posterior import far_of
from pyrodrop.joint.priors import Array
from pyrodrop.joint.problem import EDGE, Problem, State
from pyrodrop.models.support import centre_bounds

# A droplet that the image's border cuts may have its centre so many radii beyond it.
BEYOND = 2.0
# By which factor a droplet's radius may change from that it was found with; how far it may go is ``far_of``.
FAR_FACTOR = 2.0
# The same of one step, against wild steps far from the quadratic.
STEP_PX, STEP_RADII, STEP_LOG_R, STEP_SHAPE = 0.7, 0.25, 0.25, 0.4
SMALLEST_PX = 0.4
_NEXT_TO = 1e-9


class Bounds(NamedTuple):
    """Least and greatest x, y and log r of each droplet, shape (N, 3) each, shape parameters, shape (S,) each, and logs
    of own edges.
    """

    low: Array
    high: Array
    shape: tuple[Array, Array]
    edge: tuple[float, float] = (-np.inf, np.inf)

    def those(self, some: NDArray[np.intp]) -> "Bounds":
        """Of some of the droplets."""
        return self._replace(low=self.low[some], high=self.high[some])

    def held(self, state: State, gradient: Array) -> NDArray[np.bool_]:
        """Which unknowns are at their bounds and want further, (N, 3 + C), by the gradient of the same shape."""
        geometry, uphill = _geometry(state), gradient[:, :3]
        held = np.zeros(gradient.shape, bool)
        held[:, :3] = ((geometry <= self.low + _NEXT_TO) & (uphill > 0)) | (
            (geometry >= self.high - _NEXT_TO) & (uphill < 0)
        )
        return held

    def within(self, state: State, by_droplet: Array, by_shared: Array) -> State:
        """The state after a step that is shortened, droplet by droplet, to the trust region, and ends within bounds."""
        r, shapes = np.exp(state.log_r), len(state.shape)
        longest = np.maximum(STEP_PX, STEP_RADII * r)
        limits = np.stack([longest, longest, np.full(len(r), STEP_LOG_R)], 1)
        excess = (np.abs(by_droplet[:, :3]) / limits).max(1, initial=1.0)
        if state.edge is not None:
            excess = np.maximum(excess, np.abs(by_droplet[:, -1]) / STEP_SHAPE)
        moves = by_droplet / excess[:, None]
        shared = by_shared.copy()
        shared[:shapes] /= max(1.0, np.abs(shared[:shapes]).max(initial=0.0) / STEP_SHAPE)
        geometry = _geometry(state)
        moves[:, :3] = np.clip(geometry + moves[:, :3], self.low, self.high) - geometry
        if state.edge is not None:
            moves[:, -1] = np.clip(state.edge + moves[:, -1], *self.edge) - state.edge
        shared[:shapes] = np.clip(state.shape + shared[:shapes], *self.shape) - state.shape
        return state.moved(moves, shared)


def bounds_of(problem: Problem, origin: State) -> Bounds:
    """How far droplets may go from where they were found: also beyond the border of what is seen of the image."""
    r = np.exp(origin.log_r)
    far = far_of(r)
    low = np.stack([origin.x - far, origin.y - far, origin.log_r], 1)
    high = np.stack([origin.x + far, origin.y + far, origin.log_r], 1)
    height, width = problem.pixels.size
    hidden = _unknown_within(problem.pixels, origin.x, origin.y, r)
    for axis, (place, side) in enumerate(((origin.x, width), (origin.y, height))):
        least, most = centre_bounds(side)
        at_start, at_end = place - r < least, place + r > most  # which droplets the border cuts there
        low[at_start, axis] = np.minimum(low[at_start, axis], least - BEYOND * r[at_start])
        high[at_end, axis] = np.maximum(high[at_end, axis], most + BEYOND * r[at_end])
        low[:, axis] -= np.where(hidden[:, 2 * axis], BEYOND * r, 0.0)
        high[:, axis] += np.where(hidden[:, 2 * axis + 1], BEYOND * r, 0.0)
    low[:, 2] = np.maximum(origin.log_r - np.log(FAR_FACTOR), np.log(SMALLEST_PX))
    high[:, 2] += np.log(FAR_FACTOR)
    shapes = problem.drawn.unconstrained_bounds
    if EDGE not in problem.drawn.shape_names:
        return Bounds(low, high, shapes)
    least, most = (float(bound[problem.edge_number]) for bound in shapes)
    return Bounds(low, high, shapes, (least, most))


def start_within(problem: Problem, x: Array, y: Array, r: Array) -> tuple[Array, Array, Array]:
    """Centres and radii, (N,) each, no smaller and no further beyond the border than they may be."""
    height, width = problem.pixels.size
    r = np.maximum(r, SMALLEST_PX)
    out = np.maximum(far_of(r), BEYOND * r)
    (left, right), (top, bottom) = centre_bounds(width), centre_bounds(height)
    return np.clip(x, left - out, right + out), np.clip(y, top - out, bottom + out), r


def _geometry(state: State) -> Array:
    return np.stack([state.x, state.y, state.log_r], 1)


def _unknown_within(pixels: Pixels, x: Array, y: Array, r: Array) -> NDArray[np.bool_]:
    """Whether unknown pixels lie in each droplet's circle to its left, right, above and below, (N, 4)."""
    sides = np.zeros((len(x), 4), bool)
    if pixels.all_known:
        return sides
    height, width = pixels.size
    for k in range(len(x)):
        left, right = (int(np.clip(round(x[k] + s * r[k]), 0, width - 1)) for s in (-1, 1))
        top, bottom = (int(np.clip(round(y[k] + s * r[k]), 0, height - 1)) for s in (-1, 1))
        rows, columns = np.nonzero(~pixels.known[top : bottom + 1, left : right + 1])
        across, down = columns + left - x[k], rows + top - y[k]
        within = across**2 + down**2 <= r[k] ** 2
        across, down = across[within], down[within]
        sides[k] = (across < 0).any(), (across > 0).any(), (down < 0).any(), (down > 0).any()
    return sides
