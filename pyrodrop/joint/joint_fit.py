"""The joint fit of the model ``measured``, and its posterior: all droplets, background, profile and noise at once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from pyrodrop.joint.descent import FAR_FACTOR, TOLERANCE, descend, start_of
from pyrodrop.joint.factor import Factor, factor
from pyrodrop.joint.normal_equations import Array, Problem
from pyrodrop.joint.posterior import evidence_of, inflation_of, log_bayes_of
from pyrodrop.models.multichannel_fit import Scales, image_scales, pixel_noise
from pyrodrop.rendering import HALF_RADIUS, SHAPES, half_radius


@dataclass(frozen=True)
class JointFit:
    """Droplets at the joint mode, and how sure their values are. N droplets, C channels.

    Attributes:
        profile: name of the profile.
        x, y, r: centres and radii in px, shape (N,).
        amplitude: heights, shape (C, N).
        shape: the renderer's shape parameters, shape (S,); ``shape_sd`` their standard deviations, the edge's to first
            order.
        background: image of the background, shape (C, H, W), float32.
        noise: standard deviation of the noise, shape (C,).
        covariance: of x, y, log r and the C amplitudes of each droplet, all else integrated over, shape
            (N, 3 + C, 3 + C); widened by ``inflation``.
        inflation: shares by which standard deviations were widened for noise that is correlated and for droplets that
            are unlike the model, shape (N, 3 + C).
        log_bayes: log Bayes factor of each droplet's presence, shape (N,), its centre a priori anywhere in the image.
        gain: the part of it that comes from a better fit, to first order in how its neighbours would adjust, (N,).
        log_bayes_white: the same held against nothing but the white noise that the image shows, shape (N,).
        at_bound: droplets that wanted to go further from their start than they may, shape (N,).
        misfit: mean squared residual where the droplet's centre and radius are read, over the image's, shape (N,).
        log_evidence: of the profile and these droplets.
        residual: channels less the image, shape (C, H, W), float32.
        reduced_chi_square: mean squared residual over the square of the pixel noise that second differences see; near
            1 where the model explains all but white noise, shape (C,).
        noise_correlation: sum over lags of the residual's correlation between pixels, 1 for independent noise.
        losses: negative log density at the start and after each step, each with the noise as read before it.
        steps: steps of the fit; ``converged`` whether it did not stop at the last step allowed.
        scales: the priors' scales.
        factor: the joint precision, which ``draws`` draws from.
    """

    profile: str
    x: Array
    y: Array
    r: Array
    amplitude: Array
    shape: Array
    shape_sd: Array
    background: NDArray[np.float32]
    noise: Array
    covariance: Array
    inflation: Array
    log_bayes: Array
    gain: Array
    log_bayes_white: Array
    at_bound: NDArray[np.bool_]
    misfit: Array
    log_evidence: float
    residual: NDArray[np.float32]
    reduced_chi_square: Array
    noise_correlation: float
    losses: Array
    steps: int
    converged: bool
    scales: Scales
    factor: Factor = field(repr=False)

    @cached_property
    def half_radius(self) -> Array:
        """Distances in px at which the droplets fall to half of their height, (N,): what is seen, and what profiles
        agree on, where edge and curve are soft and r alone says little.
        """
        return half_radius(self.profile, self.r, self.shape)

    @cached_property
    def half_slopes(self) -> Array:
        """Derivatives of log half_radius by log r, log edge and the curve, (N, 1 + S)."""
        return _half_slopes(self.profile, np.log(self.r), self.shape)

    def presence(self, expected: float | None = None, white: bool = False) -> Array:
        """Probability that each droplet is there, shape (N,), given that all others are.

        A priori ``expected`` droplets are spread evenly over the image, else as many as there are here: the prior
        odds of one more at a place are expected times the uniform density, which ``log_bayes`` has in it. With
        ``white`` each is held against white noise, not against all that is left over (``log_bayes_white``).
        """
        counted = float(len(self.x)) if expected is None else expected
        odds = (self.log_bayes_white if white else self.log_bayes) + np.log(max(counted, 1e-3))
        made: Array = 1 / (1 + np.exp(-np.clip(odds, -500, 500)))
        return made


def fit_jointly(
    channels: ArrayLike,
    x: ArrayLike,
    y: ArrayLike,
    r: ArrayLike,
    amplitude: ArrayLike | None = None,
    *,
    profile: str = "disc",
    scales: Scales | None = None,
    edge_px: float = 1.0,
    max_steps: int = 50,
    origin: tuple[ArrayLike, ArrayLike, ArrayLike] | None = None,
    tolerance: float = TOLERANCE,
) -> JointFit:
    """Fit droplets found in an image jointly, by Gauss-Newton steps in a trust region, and find their posterior.

    Args:
        channels: the image, shape (C, H, W) or (H, W), finite.
        x, y: centres to start from in px, shape (N,); N may be 0.
        r: radii to start from in px, of this profile (see ``HALF_RADIUS``), positive, shape (N,).
        amplitude: heights to start from, shape (C, N) or (N,); None finds them first, the image being linear in them.
        profile: "gaussian", "disc" or "radial".
        scales: the priors' scales, else ``image_scales`` with the median of r.
        edge_px: width of the edge to start from.
        max_steps: no more steps than this, at least 1.
        origin: x, y and r that the droplets were found with, (N,) each, from which they may go only so far; where they
            start from, if not given.
        tolerance: gain of a step in log density below which the fit has converged.

    Returns:
        The droplets in the order given, with their posterior.

    Raises:
        ValueError: arguments that do not go together, are not finite, or an unknown profile.
    """
    image = np.ascontiguousarray(np.asarray(channels, dtype=np.float64))
    image = image[None] if image.ndim == 2 else image
    places = [np.array(v, dtype=np.float64) for v in (x, y, r)]
    _check(image, places, profile)
    if scales is None:
        scales = image_scales(image, float(np.median(places[2])) if len(places[2]) else 8.0)
    problem = Problem(image, profile, scales)
    start = start_of(problem, places[0], places[1], places[2], amplitude, edge_px)
    found = start
    if origin is not None:
        at = [np.array(v, dtype=np.float64) for v in origin]
        found = start_of(problem, at[0], at[1], at[2])
    state, columns, residual, noise, equations, losses, steps, converged, held = descend(
        problem, start, max_steps, found, tolerance
    )
    factored = factor(equations)
    covariance = factored.marginals()
    inflation = inflation_of(state, columns, residual, noise)
    shapes = SHAPES[profile]
    shape_sd = np.sqrt(np.diag(factored.shared_covariance())[:shapes])
    if shapes:
        shape_sd[0] *= state.rendered_shape[0]
    floor = pixel_noise(image)
    quiet = min(float(np.square(floor / noise).mean()), 1.0)
    return JointFit(
        profile,
        state.x,
        state.y,
        np.exp(state.log_r),
        state.amplitude,
        state.rendered_shape,
        shape_sd,
        problem.ground(state.bg).astype(np.float32),
        noise,
        covariance * inflation.factor[:, :, None] * inflation.factor[:, None, :],
        inflation.factor,
        *log_bayes_of(problem, state, covariance, inflation),
        log_bayes_of(problem, state, covariance, inflation, quiet)[0],
        np.asarray(held[:, :3].any(1)),
        inflation.misfit,
        evidence_of(problem, state, residual, noise, factored),
        residual.astype(np.float32),
        np.square(residual).mean((1, 2)) / floor**2,
        inflation.noise_correlation,
        losses,
        steps,
        converged,
        scales,
        factored,
    )


def fit_best_profile(
    channels: ArrayLike,
    x: ArrayLike,
    y: ArrayLike,
    half_radius: ArrayLike,
    *,
    profiles: Sequence[str] = ("gaussian", "disc", "radial"),
    scales: Scales | None = None,
    **options: Any,
) -> tuple[JointFit, dict[str, float]]:
    """Settle with each profile, and keep that with the greatest evidence.

    Args:
        channels, x, y: as for ``fit_jointly``.
        half_radius: distance in px at which a droplet falls to half its height, shape (N,).
        profiles: those to choose from.
        scales: the same priors for all, else ``image_scales``.
        options: for ``fit_jointly``.

    Returns:
        The best, and the log evidence of each. With noise that is correlated, the evidence exaggerates.
    """
    half = np.asarray(half_radius, dtype=np.float64)
    image = np.asarray(channels, dtype=np.float64)
    if scales is None:
        scales = image_scales(image if image.ndim == 3 else image[None], float(np.median(half)) if len(half) else 8.0)
    best, evidence = None, {}
    for profile in profiles:
        made = fit_jointly(image, x, y, half / HALF_RADIUS[profile], profile=profile, scales=scales, **options)
        evidence[profile] = made.log_evidence
        if best is None or made.log_evidence > best.log_evidence:
            best = made
    if best is None:
        raise ValueError("profiles is empty: name at least one.")
    return best, evidence


def draws(fit: JointFit, n: int, generator: torch.Generator | None = None) -> dict[str, Array]:
    """Draws from the joint posterior of all droplets: neighbours that overlap are drawn together.

    Args:
        fit: the fit.
        n: how many draws.
        generator: of random numbers, on the CPU; None starts one at seed 0.

    Returns:
        x_px, y_px, radius_px and half_radius_px (to first order), shape (n, N), and amplitude, shape (n, N) for one
        channel, else (n, C, N).
    """
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    count, width = len(fit.x), fit.factor.width
    unknowns = len(fit.factor.back) + len(fit.factor.shared)
    normal = torch.randn(n, unknowns, generator=generator, dtype=torch.float64).numpy()
    drawn = fit.factor.draws(normal)
    away = drawn[:, : count * width].reshape(n, count, width) * fit.inflation
    shared = drawn[:, count * width : count * width + len(fit.shape)]
    half = away[:, :, 2] * fit.half_slopes[:, 0] + shared @ fit.half_slopes[:, 1:].T
    # Of a droplet whose radius the image hardly tells, draws stay within the square of the factor that the fit may go.
    furthest = 2 * np.log(FAR_FACTOR)
    half, log_r = np.clip(half, -furthest, furthest), np.clip(away[:, :, 2], -furthest, furthest)
    heights = fit.amplitude + away[:, :, 3:].transpose(0, 2, 1)
    return {
        "x_px": fit.x + away[:, :, 0],
        "y_px": fit.y + away[:, :, 1],
        "radius_px": fit.r * np.exp(log_r),
        "half_radius_px": fit.half_radius * np.exp(half),
        "amplitude": heights[:, 0] if heights.shape[1] == 1 else heights,
    }


def _half_slopes(profile: str, log_r: Array, shape: Array) -> Array:
    """Derivatives of the log of each half radius by log r and the shape's unknowns, by central differences.

    Beside the shape, the half radius over r hangs on r alone, and slowly: it is found at a few radii between.
    """
    n, count = len(log_r), SHAPES[profile]
    made = np.zeros((n, 1 + count))
    if n == 0:
        return made
    made[:, 0] = 1.0
    if count == 0:
        return made
    low, high = log_r.min() - 0.02, log_r.max() + 0.02
    knots = np.linspace(low, high, 2 + int(20 * (high - low)))
    step = 1e-2

    def log_share(log_r: Array, by: Array) -> Array:
        moved = np.concatenate([shape[:1] * np.exp(by[:1]), shape[1:] + by[1:]])
        return np.interp(log_r, knots, np.log(half_radius(profile, np.exp(knots), moved)) - knots)

    still = np.zeros(count)
    made[:, 0] += (log_share(log_r + step, still) - log_share(log_r - step, still)) / (2 * step)
    for k, by in enumerate(np.eye(count) * step):
        made[:, 1 + k] = (log_share(log_r, by) - log_share(log_r, -by)) / (2 * step)
    return made


def _check(image: Array, places: list[Array], profile: str) -> None:
    """A ValueError for the first argument of ``fit_jointly`` that does not fit."""
    if image.ndim != 3 or min(image.shape) < 1:
        raise ValueError(f"channels have shape {image.shape}: give (C, H, W) or (H, W).")
    if not np.isfinite(image).all():
        raise ValueError("channels hold numbers that are not finite: mask or mend them first.")
    if profile not in SHAPES:
        raise ValueError(f"profile {profile!r} is unknown: choose one of {', '.join(SHAPES)}.")
    if any(v.ndim != 1 or len(v) != len(places[0]) for v in places):
        raise ValueError(f"x, y and r have shapes {', '.join(str(v.shape) for v in places)}: give (N,) each.")
    if not all(np.isfinite(v).all() for v in places) or (places[2] <= 0).any():
        raise ValueError("x, y and r must be finite, and r positive.")


__all__ = ["JointFit", "draws", "fit_best_profile", "fit_jointly"]
