"""Draws from the posterior of a joint fit, neighbours that overlap together; and how widely they spread in radius."""

import numpy as np
import scipy.linalg
import torch

from pyrodrop.joint.joint_fit import JointFit
from pyrodrop.joint.priors import Array
from pyrodrop.joint.trust_region import FAR_FACTOR


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
    count, width = len(fit.x), fit.posterior.factor.width
    unknowns = len(fit.posterior.factor.back) + len(fit.posterior.factor.shared)
    normal = torch.randn(n, unknowns, generator=generator, dtype=torch.float64).numpy()
    drawn = fit.posterior.factor.draws(normal)
    away = drawn[:, : count * width].reshape(n, count, width) * fit.posterior.inflation
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


def half_radius_sd(fit: JointFit) -> Array:
    """Standard deviation of the log of each droplet's half-height radius, (N,): what such draws have, without drawing.

    The radius goes with log r and with the shape parameters w, whose covariance with log r is that of -D^-1 B S^-1
    (see ``joint.factor``); the part of log r is inflated.
    """
    posterior, shapes = fit.posterior, len(fit.shape)
    factored, slopes = posterior.factor, fit.half_slopes
    variance = slopes[:, 0] ** 2 * posterior.covariance[:, 2, 2]
    if shapes:
        shared = scipy.linalg.cho_solve((factored.shared, True), np.eye(len(factored.shared), shapes))
        together = -factored.back[2 :: factored.width] @ shared
        variance += np.einsum("ns,st,nt->n", slopes[:, 1:], shared[:shapes], slopes[:, 1:])
        both = np.einsum("ns,ns->n", together, slopes[:, 1:])
        variance += 2 * slopes[:, 0] * posterior.inflation[:, 2] * both
    return np.asarray(np.sqrt(np.maximum(variance, 0.0)))
