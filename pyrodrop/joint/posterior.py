"""What the joint fit says about each droplet: how sure it is, and by how much the image needs the droplet."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyrodrop.joint.factor import Factor
from pyrodrop.joint.normal_equations import CLEAR, energy
from pyrodrop.joint.pixels import Pixels
from pyrodrop.joint.priors import Array
from pyrodrop.joint.problem import Problem, State
from pyrodrop.joint.sums.compiled import COMPILED
from pyrodrop.joint.sums.engine import Engine, Image, Pictures

# How far a droplet may go from where it was found, in px or its radius, whichever is more. Candidates are nearer
# than that; a droplet that wants further is another one, or none.
FAR_PX, FAR_RADII = 2.0, 0.5
# Lags up to which the noise's correlation is looked for; it must be ``CLEAR`` standard errors from none.
MOST_LAG = 6
_LEAST_SHARE = 0.1


class Inflation(NamedTuple):
    """How much larger variances are than for even, independent noise, and what that comes from.

    factor: shares by which standard deviations grow, the product of the square roots of correlation and misfit, and at
    least 1, shape (N, 3 + C).
    correlation: by the residual's correlation between pixels, as a share of the variance, (N, 3 + C).
    misfit: mean squared residual where the droplet's unknowns are read, over the image's, (N,).
    noise_correlation: the residual's correlations summed over all lags, 1 for independent noise.
    """

    factor: Array
    correlation: Array
    misfit: Array
    noise_correlation: float


class Posterior(NamedTuple):
    """How sure the values of a joint fit are, by Laplace's method. N droplets, C channels.

    covariance: of x, y, log r and the C amplitudes of each droplet, all else integrated over, inflated, shape
    (N, 3 + C, 3 + C).
    inflation: shares by which standard deviations were inflated, for noise that is correlated and for droplets that
    are unlike the model, shape (N, 3 + C).
    shape_sd: standard deviations of the shape parameters, the edge's to first order, shape (S,).
    factor: the joint precision factored, which joint draws are made with.
    """

    covariance: Array
    inflation: Array
    shape_sd: Array
    factor: Factor


class Evidence(NamedTuple):
    """By how much the image needs each of N droplets, and the profile.

    log_bayes: log Bayes factor of each droplet's presence, its centre a priori anywhere in the image, shape (N,).
    gain: the part of it that comes from a better fit, to first order in how its neighbours would adjust, (N,).
    log_bayes_white: the same held against nothing but the white noise that the image shows, shape (N,).
    log_evidence: of the profile and these droplets.
    """

    log_bayes: Array
    gain: Array
    log_bayes_white: Array
    log_evidence: float


def far_of(r: Array) -> Array:
    """How far in px droplets of radius r may go from where they are found."""
    return np.maximum(FAR_PX, FAR_RADII * r)


def correlation_of(residual: Image, engine: Engine = COMPILED) -> tuple[NDArray[np.int64], Array]:
    """Lags, (L, 2), one of each opposite pair, at which the residual (C, H, W) is clearly correlated, and how much."""
    count, height, width = residual.shape
    even = residual - residual.mean((1, 2))[:, None, None]
    even = even / (even * even).mean((1, 2)).clip(min=1e-300)[:, None, None] ** 0.5
    down, across = min(MOST_LAG, height - 1), min(MOST_LAG, width - 1)
    lags = [(dj, di) for dj in range(down + 1) for di in range(-across if dj else 1, across + 1)]
    tried = np.array(lags, np.int64).reshape(-1, 2)
    values = engine.correlation(even, tried)
    pixels = count * (height - tried[:, 0]) * (width - np.abs(tried[:, 1]))
    clear = np.abs(values) > CLEAR / np.sqrt(pixels)
    return tried[clear], values[clear]


def noise_correlation(residual: Image, engine: Engine = COMPILED) -> float:
    """The correlations of a residual (C, H, W) summed over all lags: 1 for independent noise."""
    return float(1 + 2 * correlation_of(residual, engine)[1].sum())


def noise_by_light(light: Image, residual: Image, known: Image | None = None) -> Image:
    """Variance of each pixel's noise as a share of its channel's mean, (C, H, W): more where there is more light.

    The squared residual by the light, a straight line as photons make it, by least squares; 1 where its slope is less
    than ``CLEAR`` standard errors from none. No pixel's noise is taken to be less than a tenth of the mean.

    Args:
        light, residual: what the model says, and what it leaves over, 0 where the image is not known, (C, H, W).
        known: 1 where it is and 0 elsewhere, (H, W); None for all.
    """
    shares = residual * 0 + 1
    for c in range(len(residual)):
        number = residual[c].shape[0] * residual[c].shape[1] if known is None else float(known.sum())
        seen = light[c] if known is None else light[c] * known
        away = light[c] - seen.sum() / number
        away = away if known is None else away * known
        squared = residual[c] * residual[c]
        spread, mean = float((away * away).sum()), float(squared.sum()) / number
        slope = float((away * squared).sum()) / max(spread, 1e-300)
        # Of normal noise, the variance of the square is twice the squared variance.
        if mean > 0 and slope > CLEAR * np.sqrt(2 / max(spread, 1e-300)) * mean:
            shares[c] = (1 + slope * away / mean).clip(min=_LEAST_SHARE)
    return shares


def inflation_of(pixels: Pixels, state: State, columns: Pictures, residual: Image, noise: Array) -> Inflation:
    """How much wider the intervals are than for even, independent noise.

    The variance of an estimate under correlated noise is that under independent noise times the mean of the noise's
    correlation over the products of the derivatives that the estimate reads, J: sum_zl J(z) J(z + l) rho(l) / sum
    J(z)^2. Where the droplet is unlike the model, or the noise is larger, its residuals are larger than elsewhere, and
    the variance is the sandwich's, sum J^2 e^2 / sum J^2. That second share is taken where it is clearly more than 1,
    by three standard errors. Noise that grows with the light, as photons' does, is such a share, too, by how bright it
    is where the droplet is (``noise_by_light``). Channels whose residuals are correlated count less than their number:
    the variance of what they share, centre and radius, is u^T rho u / u^T u, u being the amplitudes over the noise.
    """
    n, count, engine = len(state.x), len(noise), pixels.engine
    lags, correlation = correlation_of(residual, engine)
    relative = residual / engine.image(noise)[:, None, None]
    raw = engine.inflation(columns, (relative * relative).mean(0), lags, correlation)
    # Of height, x, y, log r to x, y, log r and every amplitude.
    places = [1, 2, 3] + [0] * count
    shares = np.maximum(raw[:, :, 0], 1.0)[:, places]
    misfit, number = raw[:, 1:, 1].mean(1), raw[:, 1:, 2].mean(1) * count
    by_light = noise_by_light(pixels.light(residual), residual, pixels.seen)
    if bool((by_light != 1).any()):
        lit = engine.inflation(columns, by_light.mean(0), lags[:0], correlation[:0])
        shares, misfit = shares * lit[:, :, 1][:, places], misfit / lit[:, 1:, 1].mean(1)
    worse = np.where(misfit > 1 + 3 * np.sqrt(2 * raw[:, :, 0].max(1, initial=1.0) / number), misfit, 1.0)
    if count > 1 and n:
        u = (state.amplitude / noise[:, None]).T
        shared = np.einsum("nc,cd,nd->n", u, _between_channels(engine, residual), u)
        shares[:, :3] *= np.maximum(shared / np.maximum(np.square(u).sum(1), 1e-300), 1.0)[:, None]
    return Inflation(np.sqrt(shares * worse[:, None]), shares, misfit, float(1 + 2 * correlation.sum()))


def _between_channels(engine: Engine, residual: Image) -> Array:
    """Correlations of the residuals of channels with each other, (C, C)."""
    even = (residual - residual.mean((1, 2))[:, None, None]).reshape(len(residual), -1)
    products = engine.array(even @ even.T)
    unit = np.sqrt(np.maximum(np.diag(products), 1e-300))
    return np.asarray(products / unit / unit[:, None])


def centre_density(problem: Problem) -> float:
    """Log density of a droplet's centre, per px^2: a priori it lies anywhere in what is known of the image."""
    known = problem.pixels.known_number / problem.pixels.known.size
    return problem.priors.x.log_density + problem.priors.y.log_density - float(np.log(known))


def log_bayes_of(
    problem: Problem, state: State, covariance: Array, inflation: Inflation, white: Array | None = None
) -> tuple[Array, Array]:
    """Log Bayes factor of each droplet's presence, shape (N,): the model with it over the model without it; and the
    part of it that the fit gains, the other being what a droplet costs.

    All else is integrated over in both, by Laplace's method. With P the inverse of the droplet's marginal covariance,
    which already lets its neighbours, the background and the shape adjust to first order, dropping the droplet costs
    a^T P_aa a / 2; the room that its unknowns are left, (2 pi)^(D / 2) |P|^(-1 / 2), is held against the prior
    density at the fit, the centre's being uniform over the image. The gain is divided by the correlation of the
    noise: pixels that repeat each other tell less. With ``white``, (N,), the variance of the white noise as a share of
    that of the whole residual, the droplet is held against white noise and nothing else. Either way its height is no
    surer than rounding lets it be.
    """
    n, count = len(state.x), problem.pixels.count
    if n == 0:
        return np.zeros(0), np.zeros(0)
    heights = np.arange(3, 3 + count)
    covariance = covariance.copy()
    covariance[:, heights, heights] += problem.rounding_together
    precision = np.linalg.inv(covariance)
    # Of a droplet of no height the image does not tell the centre, but it was only let go so far from where it was
    # found: it has the room of a uniform density there, of variance far^2 / 3, and not that of many images.
    within = precision.copy()
    within[:, [0, 1], [0, 1]] += 3 / far_of(np.exp(state.log_r))[:, None] ** 2
    a, priors = state.amplitude.T, problem.priors
    correlation = inflation.correlation[:, 3:].mean(1)
    share = correlation * np.maximum(inflation.factor[:, 3] ** 2 / inflation.correlation[:, 3], 1)
    log_inflated = np.log(inflation.factor).sum(1)
    if white is not None:
        share, log_inflated = white, (3 + count) / 2 * np.log(white)
    gain = np.einsum("nc,ncd,nd->n", a, precision[:, 3:, 3:], a) / 2 / share
    # The precision holds the prior of the amplitudes, and so does the gain: a^2 / 2 scale^2 is in it already.
    prior = centre_density(problem) + priors.log_r.log_density(state.log_r)
    prior = prior + priors.amplitude.log_density(a).sum(1) + priors.amplitude.without(a).sum(1) / 2 / share
    widths = log_inflated - np.linalg.slogdet(within)[1] / 2
    return np.asarray(gain + prior + (3 + count) / 2 * np.log(2 * np.pi) + widths), gain


def evidence_of(problem: Problem, state: State, residual: Image, noise: Array, factored: Factor) -> float:
    """Log evidence of the model with these droplets by Laplace's method, all unknowns integrated over.

    Comparable between profiles for the same image and scales. It counts one order of the droplets only.
    """
    count, number = problem.pixels.count, problem.pixels.known_number
    n, priors, root = len(state.x), problem.priors, np.log(2 * np.pi) / 2
    total = -energy(problem, state, residual, noise) - count * number * root
    # Constants of the priors, those of the noise included.
    total += n * (centre_density(problem) + float(priors.log_r.constants))
    total += n * priors.amplitude.constants.sum() + priors.bg.constants.sum()
    total += priors.shape.constants.sum() + priors.log_noise.constants.sum()
    unknowns = n * (3 + count) + problem.n_shared
    total += unknowns * root - factored.log_determinant / 2
    total += (root - np.log(2 * number + priors.log_noise.precision_at(np.log(noise / problem.unit))) / 2).sum()
    return float(total)
