"""What is fitted jointly, and a point in the space of its unknowns."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pyrodrop.joint.pixels import Pixels
from pyrodrop.joint.priors import Array, Normal, Priors, priors_of
from pyrodrop.joint.sums.engine import Grid, Image, Places
from pyrodrop.models.bspline_background import spline_basis
from pyrodrop.models.prior_scales import PriorScales
from pyrodrop.rendering import Profile, profile_named

# Steps to the likeliest noise, which converge from afar by a factor each, and a tenth of a deviation.
_NEWTON, _TENTH = 40, 0.1
EDGE = "edge_px"  # name of the width of the edge among the numbers that droplets share


@dataclass(frozen=True)
class State:
    """A point in the model's transformed space: N droplets, C channels.

    Attributes:
        x, y: centres in px, shape (N,).
        log_r: logs of the radii in px, shape (N,).
        amplitude: heights, shape (C, N).
        shape: the renderer's shape parameters, with the logs of those that are positive, as widths are, shape (S,).
        bg: control points of the background, shape (C, points).
        edge: logs of the widths of the droplets' own edges, shape (N,), where they have their own; else None.
    """

    x: Array
    y: Array
    log_r: Array
    amplitude: Array
    shape: Array
    bg: Array
    edge: Array | None = None

    def __post_init__(self) -> None:
        # One order in memory, whatever the state was made of: sums over it then round alike.
        object.__setattr__(self, "amplitude", np.ascontiguousarray(self.amplitude))

    @property
    def places(self) -> Places:
        """Centres and radii in px."""
        return Places(self.x, self.y, np.exp(self.log_r))

    def moved(self, droplets: Array, shared: Array) -> "State":
        """The state after steps of shape (N, 3 + C), and one column more with own edges, and (S + C points,)."""
        s, count = len(self.shape), len(self.amplitude)
        return replace(
            self,
            x=self.x + droplets[:, 0],
            y=self.y + droplets[:, 1],
            log_r=self.log_r + droplets[:, 2],
            amplitude=self.amplitude + droplets[:, 3 : 3 + count].T,
            edge=None if self.edge is None else self.edge + droplets[:, 3 + count],
            shape=self.shape + shared[:s],
            bg=self.bg + shared[s:].reshape(self.bg.shape),
        )

    def those(self, some: NDArray[np.intp] | NDArray[np.bool_]) -> "State":
        """Of some of the droplets; what all share is the same."""
        edge = None if self.edge is None else self.edge[some]
        return State(self.x[some], self.y[some], self.log_r[some], self.amplitude[:, some], self.shape, self.bg, edge)

    def with_those(self, some: NDArray[np.intp], others: "State") -> "State":
        """The state with other values of some of the droplets."""
        x, y, log_r, amplitude = (part.copy() for part in (self.x, self.y, self.log_r, self.amplitude))
        x[some], y[some], log_r[some], amplitude[:, some] = others.x, others.y, others.log_r, others.amplitude
        edge = None if self.edge is None else self.edge.copy()
        if edge is not None:
            edge[some] = others.edge
        return State(x, y, log_r, amplitude, self.shape, self.bg, edge)


@dataclass(frozen=True)
class Problem:
    """What is fitted: the pixels of an image, the profile's name and the scales of the priors."""

    pixels: Pixels
    profile: str
    scales: PriorScales

    @property
    def drawn(self) -> Profile:
        """The profile of that name."""
        return profile_named(self.profile)

    @property
    def edge_number(self) -> int:
        """Which of the shared numbers is the width of the edge."""
        return self.drawn.shape_names.index(EDGE)

    def shapes(self, state: State) -> Array:
        """The renderer's shape parameters, (S,), or with own edges those of each droplet, (N, S)."""
        if state.edge is None:
            return self.drawn.constrained(state.shape)
        numbers = np.tile(state.shape, (len(state.x), 1))
        numbers[:, self.edge_number] = state.edge
        return self.drawn.constrained(numbers)

    def own_edge(self, state: State) -> Normal:
        """The prior of each droplet's own edge: around that of all, as wide as the prior of that."""
        return Normal(state.shape[self.edge_number], self.priors.shape.sd[self.edge_number])

    @cached_property
    def priors(self) -> Priors:
        """Those of the Pyro model."""
        return priors_of((self.pixels.count, *self.pixels.size), self.scales, self.profile)

    @cached_property
    def least_noise(self) -> Array:
        """What the noise is never read below, (C,): that of rounding to the image's steps, or next to nothing."""
        return np.maximum(self.pixels.rounding, 1e-3 * self.scales.noise)

    @cached_property
    def rounding_together(self) -> Array:
        """Variance that rounding to the image's steps has for all pixels of a droplet alike, (C,).

        Noise of half a step and more makes the errors of neighbours independent. Below that, pixels of nearly the same
        value are rounded the same way, and their number does not average it out.
        """
        rounding = self.pixels.rounding
        alike = self.pixels.white_noise < np.sqrt(12) * rounding / 2
        return np.where(alike, np.square(rounding), 0.0)

    def noise_of(self, squares: Array, freedom: float) -> Array:
        """Standard deviation of the noise, (C,), by squared residuals, (C,), of so many degrees of freedom."""
        return self.by_prior(np.maximum(np.sqrt(squares / freedom) * self.unit, self.least_noise), freedom)

    @property
    def unit(self) -> float:
        """Standard deviation of the noise in units of the scale that the model's family of noise has."""
        return 1.0 if self.pixels.weights is None else self.pixels.weights.unit

    def by_prior(self, noise: Array, freedom: float | Array) -> Array:
        """The likeliest noise by an estimate of so many degrees of freedom and the prior, (C,).

        With t the log of the noise and t0 that of the estimate, freedom (1 - exp(2 (t0 - t))) is the slope of the
        image's energy. A prior that moves t by less than a tenth of its deviation, (2 freedom)^(-1 / 2), is left out.
        """
        prior, begin = self.priors.log_noise, np.log(noise / self.unit)
        if (np.abs(prior.slope(begin)) < _TENTH * np.sqrt(2 * np.asarray(freedom))).all():
            return np.asarray(noise)
        log = begin
        for _ in range(_NEWTON):
            told = freedom * np.exp(2 * (begin - log))
            log = log + np.clip((told - freedom - prior.slope(log)) / (2 * told + prior.precision_at(log)), -0.5, 0.5)
        return np.asarray(np.exp(log) * self.unit)

    @property
    def n_shared(self) -> int:
        """Number of shared parameters."""
        return self.drawn.size + self.pixels.count * self.points

    @property
    def points(self) -> int:
        """Control points of one channel's background."""
        return self.down.shape[1] * self.along.shape[1]

    @cached_property
    def down(self) -> Array:
        """The background's splines along a column of the image, shape (H, rows)."""
        return spline_basis(self.pixels.size[0], self.scales.spacing)

    @cached_property
    def along(self) -> Array:
        """The background's splines along a row of the image, shape (W, columns)."""
        return spline_basis(self.pixels.size[1], self.scales.spacing)

    @cached_property
    def grid(self) -> Grid:
        """Both, where pixels are summed over."""
        return self.pixels.engine.grid(self.down, self.along)

    @cached_property
    def background_gram(self) -> Array:
        """Sums over the known pixels of the products of the background's splines with each other, (points, points)."""
        weight = self.pixels.weight
        if weight is None:
            return np.asarray(np.kron(self.down.T @ self.down, self.along.T @ self.along), dtype=np.float64)
        (rows, columns), engine = (self.down.shape[1], self.along.shape[1]), self.pixels.engine
        down, along = (
            engine.image((basis[:, :, None] * basis[:, None, :]).reshape(len(basis), -1))
            for basis in (self.down, self.along)
        )
        products = engine.array(down.T @ (weight * weight @ along)).reshape(rows, rows, columns, columns)
        return products.transpose(0, 2, 1, 3).reshape(rows * columns, rows * columns)

    def background(self, bg: Array) -> Image:
        """Background of control points (C, points), where pixels are summed over."""
        return self.grid.image(self.pixels.engine.image(bg))
