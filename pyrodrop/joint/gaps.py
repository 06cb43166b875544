"""Pixels that are not known: NaN in the channels. They say nothing for or against droplets.

With weights w of the pixels, 1 where they are known and 0 elsewhere, the log density of the image is
-sum w (y - m)^2 / 2 sigma^2 - sum w log sigma. All sums of the joint fit are of products of the residual and of the
derivatives of the image, so that zeros of both in the unknown pixels are these weights, but for the background's
products with itself, which are summed anew, and for the number of pixels. So a droplet that is half unknown has the
posterior of the half that is seen, and its standard deviations.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pyrodrop.joint import normal_equations
from pyrodrop.joint.posterior import Evidence
from pyrodrop.joint.priors import Array
from pyrodrop.joint.problem import Problem, State
from pyrodrop.models.prior_scales import PriorScales
from pyrodrop.rendering import Profile
from pyrodrop.rendering.kernels.columns import Columns


@dataclass(frozen=True)
class GappedProblem(Problem):
    """A problem whose channels are not known everywhere.

    Attributes:
        seen: the channels, (C, H, W), NaN where they are not known; in ``channels`` there are zeros in their places.
    """

    seen: Array

    @cached_property
    def known(self) -> NDArray[np.bool_]:
        """Pixels that are known, (H, W)."""
        return np.asarray(np.isfinite(self.seen).all(0))

    @cached_property
    def drawn(self) -> Profile:
        """The profile. A window with gaps is no product of a row and a column, of a Gaussian neither."""
        return replace(super().drawn, gaussian=False)

    @cached_property
    def least_noise(self) -> Array:
        """That of the known pixels."""
        return self._of_known.least_noise

    @cached_property
    def rounding_together(self) -> Array:
        """That of the known pixels."""
        return self._of_known.rounding_together

    @cached_property
    def background_gram(self) -> Array:
        """Sums over the known pixels of the splines' products, (points, points)."""
        rows, columns = self.down.shape[1], self.along.shape[1]
        down = (self.down[:, :, None] * self.down[:, None, :]).reshape(len(self.down), -1)
        along = (self.along[:, :, None] * self.along[:, None, :]).reshape(len(self.along), -1)
        products = (down.T @ (self.known @ along)).reshape(rows, rows, columns, columns)
        return products.transpose(0, 2, 1, 3).reshape(rows * columns, rows * columns)

    def background(self, bg: Array) -> Array:
        """Background (C, H, W) of control points, and in unknown pixels the channels, which leaves no residual."""
        return np.where(self.known, super().background(bg), self.channels)

    @property
    def _of_known(self) -> Problem:
        return Problem(self.seen, self.profile, self.scales)


def problem_of(channels: Array, profile: str, scales: PriorScales) -> Problem:
    """What is fitted; channels (C, H, W) float64 may be NaN where they are not known."""
    known = np.isfinite(channels).all(0)
    if known.all():
        return Problem(channels, profile, scales)
    return GappedProblem(np.where(known, channels, 0.0), profile, scales, np.where(known, channels, np.nan))


def columns_of(problem: Problem, state: State) -> Columns:
    """All droplets' heights and derivatives, zero in pixels that are not known."""
    columns = normal_equations.columns_of(problem, state)
    if isinstance(problem, GappedProblem):
        from pyrodrop.joint.sums.gaps import clear_unknown  # importing Numba is left to who needs it

        clear_unknown(columns, problem.known)
    return columns


def known_pixels(problem: Problem) -> int:
    """How many pixels of a channel are known."""
    return int(problem.known.sum()) if isinstance(problem, GappedProblem) else problem.channels[0].size


def seen_channels(problem: Problem) -> Array:
    """The channels, (C, H, W), NaN where they are not known."""
    return problem.seen if isinstance(problem, GappedProblem) else problem.channels


def evidence_of_known(problem: Problem, evidence: Evidence, noise: Array) -> Evidence:
    """The evidence, as reckoned for all pixels, of those alone that are known; noise: (C,).

    The density of the image has no factor 1 / (sigma sqrt(2 pi)) of an unknown pixel, and a centre lies a priori
    anywhere in what is known.
    """
    known, pixels = known_pixels(problem), problem.channels[0].size
    if known == pixels:
        return evidence
    denser = float(np.log(pixels / known))
    return evidence._replace(
        log_bayes=evidence.log_bayes + denser,
        log_bayes_white=evidence.log_bayes_white + denser,
        log_evidence=evidence.log_evidence
        + (pixels - known) * float((np.log(noise) + np.log(2 * np.pi) / 2).sum())
        + len(evidence.log_bayes) * denser,
    )


def unknown_within(problem: Problem, x: Array, y: Array, r: Array) -> NDArray[np.bool_]:
    """Whether unknown pixels lie in each droplet's circle to its left, right, above and below, (N, 4)."""
    sides = np.zeros((len(x), 4), bool)
    if not isinstance(problem, GappedProblem):
        return sides
    height, width = problem.known.shape
    for k in range(len(x)):
        left, right = (int(np.clip(round(x[k] + s * r[k]), 0, width - 1)) for s in (-1, 1))
        top, bottom = (int(np.clip(round(y[k] + s * r[k]), 0, height - 1)) for s in (-1, 1))
        rows, columns = np.nonzero(~problem.known[top : bottom + 1, left : right + 1])
        across, down = columns + left - x[k], rows + top - y[k]
        within = across**2 + down**2 <= r[k] ** 2
        across, down = across[within], down[within]
        sides[k] = (across < 0).any(), (across > 0).any(), (down < 0).any(), (down > 0).any()
    return sides
