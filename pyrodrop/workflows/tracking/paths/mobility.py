"""How mobile each droplet is: the diffusion of its own path, with what all droplets have in common as its prior."""

import numba
import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.workflows.tracking.paths.path_filter import log_normal
from pyrodrop.workflows.tracking.paths.process import PathProcess
from pyrodrop.workflows.tracking.paths.smoothing import SmoothPaths

Array = NDArray[np.float64]

# Logarithms of a droplet's diffusion over that of all droplets of its radius, on which its posterior is worked out.
_LOGS = np.linspace(-5.0, 5.0, 81)
# Standard deviations of it among droplets that are tried.
_SPREADS = np.geomspace(0.02, 2.0, 25)


def mobilities(
    paths: SmoothPaths, seen: Float[Array, "n 8"], process: PathProcess, common: dict[str, Tensor], seed: int = 0
) -> Float[Array, "p draws"]:
    """Draws of the diffusion of each path, px^2 a frame, on average over its frames.

    log D_p = log D - e log(r / reference) + m_p, with m_p ~ Normal(0, s^2): s is that of the greatest evidence, D and e
    are drawn from the posterior of the process, and m_p from its own, on a grid.

    Args:
        paths: smooth paths.
        seen: what the filter sees of the detections (``seen_of``).
        process: how droplets move.
        common: draws of the process by site, (draws,); empty where it was not learnt.
        seed: of the draws.
    """
    bounds = paths.bounds
    number, draws = len(bounds) - 1, paths.radius.shape[1]
    if not number:
        return np.zeros((0, draws))
    log_radius = np.log(np.maximum(paths.radius.mean(1).astype(float) / process.reference, 0.05))
    shape = np.exp(-process.mobility_exponent * log_radius)
    average = np.add.reduceat(shape, bounds[:-1]) / np.diff(bounds)
    # the radius of which a droplet would have its mean mobility all the time
    middle = np.add.reduceat(log_radius, bounds[:-1]) / np.diff(bounds)
    relative = -np.log(average) / process.mobility_exponent if abs(process.mobility_exponent) > 1e-3 else middle
    log_likelihood = np.zeros((number, len(_LOGS)))
    _likelihoods(bounds, paths.row, seen, process.diffusion * shape, np.exp(_LOGS), log_likelihood)
    log_likelihood -= log_likelihood.max(1, keepdims=True)
    likelihood = np.exp(log_likelihood)
    priors = np.exp(-0.5 * (_LOGS / _SPREADS[:, None]) ** 2)
    priors /= priors.sum(1, keepdims=True)
    spread = int(np.log(likelihood @ priors.T + 1e-300).sum(0).argmax())
    posterior = likelihood * priors[spread]
    cumulative = np.cumsum(posterior, 1) / posterior.sum(1, keepdims=True)
    rng = np.random.default_rng(seed)
    step = _LOGS[1] - _LOGS[0]
    drawn = (cumulative[:, None] < rng.random((number, draws, 1))).sum(2)
    m = _LOGS[np.minimum(drawn, len(_LOGS) - 1)] + step * (rng.random((number, draws)) - 0.5)
    if _SPREADS[spread] < step:  # the grid is too coarse: the prior decides
        m = _SPREADS[spread] * rng.standard_normal((number, draws))
    if "diffusion" in common:
        diffusion, exponent = (common[name].numpy() for name in ("diffusion", "mobility_exponent"))
    else:
        diffusion, exponent = np.full(draws, process.diffusion), np.full(draws, process.mobility_exponent)
    return np.asarray(np.exp(np.log(diffusion) - exponent * relative[:, None] + m))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _likelihoods(bounds, row, seen, own, factors, out):
    """Log likelihood of the centres of each path, by the factor of its diffusion, into out, (paths, factors).

    own: diffusion in each row where the factor is 1.
    """
    for p in range(len(bounds) - 1):
        for f in range(len(factors)):
            for axis in range(2):
                mean, variance = 0.0, -1.0
                for at in range(bounds[p], bounds[p + 1]):
                    if variance >= 0:
                        # the step to a frame is that of the radius in the one before
                        variance += 2.0 * own[at - 1] * factors[f]
                    n = row[at]
                    if n < 0:
                        continue
                    noise = seen[n, 4 + axis]
                    if variance < 0:
                        mean, variance = seen[n, axis], noise
                        continue
                    off = seen[n, axis] - mean
                    out[p, f] += log_normal(off, variance + noise)
                    gain = variance / (variance + noise)
                    mean += gain * off
                    variance *= 1.0 - gain
