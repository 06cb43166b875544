"""Some droplets of an image fitted again in a window of it, while all the others are held where they are.

The held droplets and the background are taken off the window; what is left is fitted by the free droplets and a
background of its own, which corrects the first. What all droplets of the image share keeps the image's word:

- the noise is read of the whole image, of which the window is a part: sigma^2 falls as the sum of squares does;
- the numbers of the profile have, beside their prior, the information of the held droplets: of the precision that the
  whole image had added to the prior, their share, which is that of a^2 r^2, what a droplet adds to such a precision.

With all droplets free in a window that is the whole image, this is the joint fit itself.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pyrodrop.joint.descent import descend
from pyrodrop.joint.joint_fit import JointFit, described, residual_everywhere
from pyrodrop.joint.normal_equations import columns_of
from pyrodrop.joint.pixels import Pixels
from pyrodrop.joint.priors import Array, Normal, Priors, priors_of
from pyrodrop.joint.problem import Problem, State
from pyrodrop.joint.sums.choice import engine_of
from pyrodrop.joint.sums.engine import Image
from pyrodrop.models.bspline_background import spline_basis
from pyrodrop.models.prior_scales import PriorScales
from pyrodrop.rendering import profile_named

# So near to the mode that two fits that ought to be alike differ by a hundredth of a standard deviation.
_TOLERANCE = 1e-4


@dataclass(frozen=True, eq=False)
class HeldPixels(Pixels):
    """Pixels of a window, of which what is held is taken off where they are summed over.

    Attributes:
        held: background and held droplets, (C, h, w).
    """

    held: Array

    @cached_property
    def image(self) -> Image:
        """The channels without what is held, zero where they are not known."""
        return self.engine.image(np.where(self.known, self.channels - self.held, 0.0))

    def light(self, residual: Image) -> Image:
        """What the model says of the image, what is held among it."""
        return self.image + self.engine.image(np.where(self.known, self.held, 0.0)) - residual


@dataclass(frozen=True)
class WindowProblem(Problem):
    """A problem of a window: what is left of its channels when background and held droplets are taken off.

    Attributes:
        corrected: background that is corrected, (C, h, w).
        shape_prior: of the numbers of the profile, with what the held droplets say.
        squares: sum of the squared residual of the whole image without the window, (C,).
        freedom: by which the sum of squares of the whole image is divided to make the variance of the noise, (C,).
    """

    corrected: Array
    shape_prior: Normal
    squares: Array
    freedom: Array

    @cached_property
    def priors(self) -> Priors:
        """Those of the model, but for the profile's numbers; of the background's correction, that of their sum."""
        size = (self.pixels.count, *self.pixels.size)
        priors = priors_of(size, self.scales, self.profile)
        before = control_points(self.corrected, self.scales.spacing).reshape(priors.bg.mean.shape)
        return priors._replace(shape=self.shape_prior, bg=Normal(priors.bg.mean - before, priors.bg.sd))

    def noise_of(self, squares: Array, freedom: float) -> Array:
        """Standard deviation of the noise of the whole image, (C,), with this sum of squares in the window."""
        noise = np.maximum(np.sqrt((self.squares + squares) / self.freedom), self.least_noise)
        return self.by_prior(noise, self.freedom)


@dataclass(frozen=True)
class Window:
    """A window of an image, and what is held in it.

    Attributes:
        top, left: of its first pixel in the image.
        seen: the channels in it, (C, h, w), NaN where they are not known.
        background: of the image, (C, h, w).
        held: background and held droplets, (C, h, w).
        profile: name of the droplets' profile.
        scales: of the priors of the whole image.
        shape: numbers of the profile as the renderer has them, (S,).
        shape_prior: of their logs where they are positive, with what the held droplets say.
        squares, freedom: as of a ``WindowProblem``.
    """

    top: int
    left: int
    seen: Array
    background: Array
    held: Array
    profile: str
    scales: PriorScales
    shape: Array
    shape_prior: Normal
    squares: Array
    freedom: Array

    @cached_property
    def pixels(self) -> HeldPixels:
        """Those that the free droplets are fitted to."""
        return HeldPixels(np.ascontiguousarray(self.seen), engine_of("cpu"), self.held)

    def fit(self, free: State, found: State, solutions: int = 0) -> JointFit:
        """The free droplets at their joint mode, in px of the window.

        Args:
            free: where they begin; the shape's numbers are the window's, and there is no correction of the background.
            found: where they were found, from which they may go only so far.
            solutions: for heights and background before the first step: one where droplets are new or missing.
        """
        problem = WindowProblem(
            self.pixels,
            self.profile,
            self.scales,
            self.background,
            self.shape_prior,
            self.squares,
            self.freedom,
        )
        mode = descend(problem, free, 50, found, _TOLERANCE, solutions)
        fit = described(problem, mode)
        return replace(fit, background=(self.background + fit.background).astype(np.float32))

    def state(self, x: Array, y: Array, r: Array, amplitude: Array) -> State:
        """Droplets in px of the image, (N,) each and heights (C, N), as a state in px of the window."""
        sizes = [spline_basis(side, self.scales.spacing).shape[1] for side in self.seen.shape[1:]]
        bg = np.zeros((len(self.seen), sizes[0] * sizes[1]))
        shape = profile_named(self.profile).unconstrained(self.shape)
        return State(x - self.left, y - self.top, np.log(r), amplitude, shape, bg)

    def residual(self, fit: JointFit) -> Array:
        """Channels less all that the model says, (C, h, w), also where the channels were not known to the fit."""
        if np.isfinite(self.seen).all():
            return fit.residuals.image.astype(np.float64)
        return residual_everywhere(fit, np.nan_to_num(self.seen) - self.held)


def control_points(background: Array, spacing: float) -> Array:
    """Control points of a background, (C, H, W), as nearly as splines make it up, (C, rows, columns)."""
    down, along = (np.linalg.pinv(spline_basis(side, spacing)) for side in background.shape[1:])
    return np.asarray(down @ background @ along.T)


def shape_prior_of(prior: Normal, mode: Array, sd: Array, share: float) -> Normal:
    """The prior of the profile's numbers with the information of the held droplets.

    Args:
        prior: without any droplet, of the logs of positive numbers, (S,).
        mode, sd: mode and standard deviation with all droplets of the image, of the logs, too, (S,).
        share: of what all droplets say, how much the held ones do, 0 to 1.
    """
    told = share * np.maximum(sd**-2.0 - prior.precision, 0.0)
    precision = prior.precision + told
    return Normal((prior.precision * prior.mean + told * mode) / precision, precision**-0.5)


def window_around(
    low: NDArray[np.float64], high: NDArray[np.float64], margin: float, size: tuple[int, int]
) -> tuple[slice, slice]:
    """Rows and columns of an image of this size around boxes in px, from ``low`` to ``high``, x and y, (n, 2) each.

    All of it where that is not even twice as much, since the splines of the background are then those of the image.
    """
    left, top = np.floor(low.min(0) - margin).astype(int)
    right, bottom = np.ceil(high.max(0) + margin).astype(int) + 1
    height, width = size
    rows, columns = slice(max(top, 0), min(bottom, height)), slice(max(left, 0), min(right, width))
    if 2 * (rows.stop - rows.start) * (columns.stop - columns.start) > height * width:
        return slice(0, height), slice(0, width)
    return rows, columns


def held_image(background: Array, profile: str, scales: PriorScales, held: State, rows: slice, columns: slice) -> Array:
    """Background and droplets in a window of an image, (C, h, w).

    Args:
        background: in the window, (C, h, w).
        profile, scales: as of a ``Window``.
        held: droplets in px of the image.
        rows, columns: of the window.
    """
    image = background.copy()
    moved = replace(held, x=held.x - columns.start, y=held.y - rows.start)
    problem = Problem(Pixels.of(background), profile, scales)
    problem.pixels.engine.paint(columns_of(problem, moved), moved.amplitude, image)
    return image
