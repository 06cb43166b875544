"""The joint fit: all droplets of an image, its background, profile and noise at once, and how sure each number is."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from pyrodrop.joint.descent import TOLERANCE, Descent, initial_state, start_of
from pyrodrop.joint.factor import factor
from pyrodrop.joint.half_slopes import half_slopes
from pyrodrop.joint.normal_equations import columns_of, residual_of, squares
from pyrodrop.joint.pixels import Pixels
from pyrodrop.joint.posterior import Evidence, Posterior, evidence_of, inflation_of, log_bayes_of
from pyrodrop.joint.priors import Array, Priors
from pyrodrop.joint.problem import Problem, State
from pyrodrop.joint.resuming.descents import descend_once
from pyrodrop.joint.trust_region import start_within
from pyrodrop.models.prior_scales import PriorScales
from pyrodrop.rendering import profile_named


class Residuals(NamedTuple):
    """What a joint fit does not explain. N droplets, C channels.

    image: channels less the image of the fit, shape (C, H, W), float32; 0 where the channels are not known.
    at_droplets: mean squared residual where a droplet's centre and radius are read, over the image's, shape (N,).
    reduced_chi_square: mean squared residual over the square of the white noise that the image itself shows; near 1
    where the model explains all but that, shape (C,).
    noise_correlation: sum over lags of the residual's correlation between pixels, 1 for independent noise.
    """

    image: NDArray[np.float32]
    at_droplets: Array
    reduced_chi_square: Array
    noise_correlation: float


class Convergence(NamedTuple):
    """How a joint fit went.

    losses: negative log density at the initial state and after each step, each with the noise as read before it.
    steps: steps taken. converged: whether the fit did not just stop at the last step that was allowed.
    at_bounds: droplets that wanted to go further from where they were found than they may, shape (N,).
    """

    losses: Array
    steps: int
    converged: bool
    at_bounds: NDArray[np.bool_]


@dataclass(frozen=True)
class JointFit:
    """Droplets at the joint mode, and how sure their values are. N droplets, C channels.

    Attributes:
        profile: name of the profile.
        scales: those of the priors, and ``priors`` the priors that the model has with them.
        state: the mode in the model's transformed space.
        noise: standard deviation of the noise, shape (C,).
        noise_scale: the model's scale of its family of noise, which is the same where that is normal, shape (C,).
        background: image of the background, shape (C, H, W), float32.
        posterior: how sure the values are.
        evidence: by how much the image needs each droplet, and the profile.
        residuals: what is not explained.
        convergence: how the fit went.
        known: pixels that are known, (H, W); None for all.
        edges: width of each droplet's own edge in px, (N,), where they differ (``one_by_one``), else None.
    """

    profile: str
    scales: PriorScales
    priors: Priors
    state: State
    noise: Array
    noise_scale: Array
    background: NDArray[np.float32]
    posterior: Posterior
    evidence: Evidence
    residuals: Residuals
    convergence: Convergence
    known: NDArray[np.bool_] | None = None
    edges: Array | None = None

    @property
    def x(self) -> Array:
        """Centres in px, shape (N,); so is ``y``."""
        return self.state.x

    @property
    def y(self) -> Array:
        """See ``x``."""
        return self.state.y

    @cached_property
    def r(self) -> Array:
        """Radii in px, as the profile has them, shape (N,)."""
        return np.exp(self.state.log_r)

    @property
    def amplitude(self) -> Array:
        """Heights, shape (C, N)."""
        return self.state.amplitude

    @cached_property
    def shape(self) -> Array:
        """The renderer's shape parameters, shape (S,)."""
        return profile_named(self.profile).constrained(self.state.shape)

    @cached_property
    def half_radius(self) -> Array:
        """Distances in px at which the droplets fall to half of their height, (N,): what is seen, and what profiles
        agree on, where edge and curve are soft and r alone says little.
        """
        if self.edges is not None:
            return self.outlines[0][0]
        return profile_named(self.profile).half_radius(self.r, self.shape)

    @cached_property
    def outlines(self) -> tuple[Array, Array]:
        """What may be outlines, as drawn and before optics blur them, (K, N) each; first that at ``half_radius``."""
        return profile_named(self.profile).outlines(self.r, self._own_shape)

    @cached_property
    def half_slopes(self) -> Array:
        """Derivatives of log half_radius by log r and by the shape parameters of the state, (N, 1 + S)."""
        profile = profile_named(self.profile)
        slopes = half_slopes(profile, self.state.log_r, self._own_shape)
        if self.edges is not None:
            slopes[:, 1 + profile.shape_names.index("edge_px")] = 0.0  # the shared edge is none of theirs
        return slopes

    @property
    def _own_shape(self) -> Array:
        """The shape, (S,), or with the droplets' own edges that of each, (N, S)."""
        if self.edges is None:
            return self.shape
        is_edge = np.array(profile_named(self.profile).shape_names) == "edge_px"
        return np.where(is_edge, self.edges[:, None], self.shape)

    def presence(self, expected: float | None = None, white: bool = False) -> Array:
        """Probability that each droplet is present, shape (N,), given that all others are.

        A priori ``expected`` droplets are spread evenly over the image, else as many as there are here: the prior
        odds of one more at a place are expected times the uniform density, which ``log_bayes`` has in it. With
        ``white`` each is held against white noise, not against the whole residual (``log_bayes_white``).
        """
        count = float(len(self.x)) if expected is None else expected
        log_bayes = self.evidence.log_bayes_white if white else self.evidence.log_bayes
        return np.asarray(expit(log_bayes + np.log(max(count, 1e-3))))

    def with_droplets(self, x: Array, y: Array, r: Array, amplitude: Array) -> "JointFit":
        """The same with its droplets at other places: an initial state, not a mode. All else is as it was."""
        return replace(self, state=replace(self.state, x=x, y=y, log_r=np.log(r), amplitude=amplitude))


def fit_jointly(
    channels: ArrayLike | Pixels,
    x: ArrayLike,
    y: ArrayLike,
    r: ArrayLike,
    amplitude: ArrayLike | None = None,
    *,
    profile: str = "disc",
    scales: PriorScales | None = None,
    shape: ArrayLike | None = None,
    max_steps: int = 50,
    tolerance: float = TOLERANCE,
) -> JointFit:
    """Fit droplets found in an image jointly, by Gauss-Newton steps in a trust region, and find their posterior.

    Args:
        channels: the image, shape (C, H, W) or (H, W); pixels that are NaN are not known, and count for nothing. Or
            its ``Pixels``, whose sums are done where these are: on the CPU or any other device.
        x, y: initial centres in px, shape (N,); N may be 0. Droplets go only so far from where they begin.
        r: initial radii in px, of this profile (see ``Profile.half_share``), positive, shape (N,).
        amplitude: initial heights, shape (C, N) or (N,); None finds them first, the image being linear in them.
        profile: name of the profile, see ``pyrodrop.rendering.profiles``.
        scales: those of the priors, else ``image_scales`` with the median of r.
        shape: initial shape parameters, as the renderer has them, (S,); else the medians of their priors.
        max_steps: no more steps than this, at least 1.
        tolerance: gain of a step in log density below which the fit has converged.

    Returns:
        The droplets in the order given, with their posterior.

    Raises:
        ValueError: arguments that do not go together, are not finite, or an unknown profile.
    """
    problem, state = start_of(Pixels.of(channels), x, y, r, amplitude, profile=profile, scales=scales, shape=shape)
    return described(problem, descend_once(problem, state, max_steps, state, tolerance))


def refit_jointly(
    channels: ArrayLike | Pixels,
    fit: JointFit,
    kept: NDArray[np.bool_],
    more: tuple[Array, Array, Array],
    origin: tuple[Array, Array, Array],
    *,
    max_steps: int = 50,
    tolerance: float = TOLERANCE,
) -> JointFit:
    """Fit some of a fit's droplets again, and others after them, from where that fit ended: few steps are needed.

    Args:
        channels: the image as for ``fit_jointly``; that of the fit, or one that differs a little.
        fit: the last fit, of N droplets.
        kept: which of them are fitted again, (N,).
        more: x, y and r of those that come to them, (M,) each.
        origin: x, y and r that all were found with, (kept + M,) each, from which they may go only so far.
        max_steps, tolerance: as for ``fit_jointly``.
    """
    problem = Problem(Pixels.of(channels), fit.profile, fit.scales)
    old, (x, y, r) = fit.state.those(kept), start_within(problem, *more)
    height = np.zeros((problem.pixels.count, len(x)))
    state = replace(
        old,
        x=np.concatenate([old.x, x]),
        y=np.concatenate([old.y, y]),
        log_r=np.concatenate([old.log_r, np.log(r)]),
        amplitude=np.concatenate([old.amplitude, height], 1),
    )
    origins = initial_state(problem, *origin)
    return described(problem, descend_once(problem, state, max_steps, origins, tolerance, int(len(x) > 0)))


def residual_everywhere(fit: JointFit, channels: Array) -> Array:
    """Channels (C, H, W) less the image of a fit, also where they were not known to it."""
    problem = Problem(Pixels.of(channels), fit.profile, fit.scales)
    return np.asarray(residual_of(problem, fit.state, columns_of(problem, fit.state)))


def _scale_of(problem: Problem, noise: Array) -> Array:
    """The scale of the family of noise by the noise that was fitted, (C,)."""
    weights = problem.pixels.weights
    return noise / problem.unit if weights is None or weights.scale is None else np.array([weights.scale])


def described(problem: Problem, mode: Descent) -> JointFit:
    """The posterior at the mode, and all that is said of it."""
    state, residual, noise, profile = mode.state, mode.residual, mode.noise, problem.drawn
    factored = factor(mode.equations)
    covariance = factored.marginals()
    pixels, engine = problem.pixels, problem.pixels.engine
    inflation = inflation_of(pixels, state, mode.columns, residual, noise)
    # Of a logarithm, the deviation is a share of the number.
    units = np.where(profile.log, profile.constrained(state.shape), 1.0)
    shape_sd = np.sqrt(np.diag(factored.shared_covariance())[: profile.size]) * units
    white = pixels.white_noise
    white_share = np.full(len(state.x), min(float(np.square(white / noise).mean()), 1.0))
    # The noise of a JPEG's blocks is white to no droplet: pixels of a block are off together, as the residual shows.
    of_blocks = float(np.square(np.minimum(pixels.block_noise / white, 1.0)).mean())
    white_share = white_share * (1 + of_blocks * (inflation.correlation[:, 3:].mean(1) - 1))
    log_bayes, gain = log_bayes_of(problem, state, covariance, inflation)
    inflated = covariance * inflation.factor[:, :, None] * inflation.factor[:, None, :]
    evidence = Evidence(
        log_bayes,
        gain,
        log_bayes_of(problem, state, covariance, inflation, white_share)[0],
        evidence_of(problem, state, residual, noise, factored),
    )
    return JointFit(
        profile=problem.profile,
        scales=problem.scales,
        priors=problem.priors,
        state=state,
        noise=noise,
        noise_scale=_scale_of(problem, noise),
        background=engine.array(problem.background(state.bg)).astype(np.float32),
        posterior=Posterior(inflated, inflation.factor, shape_sd, factored),
        evidence=evidence,
        residuals=Residuals(
            engine.array(residual).astype(np.float32),
            inflation.misfit,
            squares(problem, residual) / pixels.known_number / white**2,
            inflation.noise_correlation,
        ),
        convergence=Convergence(mode.losses, mode.steps, mode.converged, np.asarray(mode.held[:, :3].any(1))),
        known=None if pixels.all_known else pixels.known,
    )
