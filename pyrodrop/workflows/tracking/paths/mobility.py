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

# Logarithms of a droplet's diffusion over that of all droplets of its radius, on which its posterior is worked out:
# fine about 0, where they are if droplets differ little.
_LOGS = 0.1 * np.sinh(np.linspace(-np.arcsinh(50.0), np.arcsinh(50.0), 81))
_CELLS = np.gradient(_LOGS)
# Standard deviations of it among droplets that are tried, besides none.
_SPREADS = np.geomspace(0.02, 2.0, 25)


def mobilities(
    paths: SmoothPaths, seen: Float[Array, "n 8"], process: PathProcess, common: dict[str, Tensor], seed: int = 0
) -> Float[Array, "p draws"]:
    """Draws of the diffusion of each path, px^2 a frame, on average over its frames.

    log D_p = log D - e log(r / reference) + m_p, with m_p ~ Normal(0, s^2). Droplets of a radius are all alike, s = 0,
    as Stokes and Einstein say, or they are not: both are as probable beforehand (Jeffreys, "Theory of Probability",
    1961, chapter 5), and in the second case every size of s is. s, D and e are drawn from their posterior, and m_p,
    given them, from its own, on a grid.

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
    rng = np.random.default_rng(seed)
    spreads = _drawn_spreads(likelihood, draws, rng)
    off = np.zeros((number, draws))
    if "diffusion" in common:
        # where each draw of what droplets have in common puts this one, beside the mode that the grid is about
        diffusion, exponent = (common[name].numpy() for name in ("diffusion", "mobility_exponent"))
        off += np.log(diffusion / process.diffusion) - (exponent - process.mobility_exponent) * relative[:, None]
    for draw in np.flatnonzero(spreads > 0):
        weight = likelihood * np.exp(-0.5 * ((_LOGS - off[:, draw, None]) / spreads[draw]) ** 2) * _CELLS
        off[:, draw] = _drawn_logs(weight + 1e-300, rng)
    return np.asarray(process.diffusion * np.exp(off - process.mobility_exponent * relative[:, None]))


def _drawn_spreads(likelihood: Float[Array, "p m"], draws: int, rng: np.random.Generator) -> Float[Array, " draws"]:
    """Draws of how much droplets of a radius differ, 0 for not at all, by the evidence of all paths."""
    priors = np.exp(-0.5 * (_LOGS / _SPREADS[:, None]) ** 2) * _CELLS
    priors /= priors.sum(1, keepdims=True)
    alike = likelihood[:, len(_LOGS) // 2]
    evidence = np.append(
        np.log(alike + 1e-300).sum() + np.log(len(_SPREADS)), np.log(likelihood @ priors.T + 1e-300).sum(0)
    )
    posterior = np.exp(evidence - evidence.max())
    return rng.choice(np.append(0.0, _SPREADS), draws, p=posterior / posterior.sum())


def _drawn_logs(weight: Float[Array, "p m"], rng: np.random.Generator) -> Float[Array, " p"]:
    """A draw for each path from weights on the grid, anywhere in the cell that is drawn."""
    cumulative = np.cumsum(weight, 1)
    at = (cumulative < rng.random((len(weight), 1)) * cumulative[:, -1:]).sum(1)
    return np.asarray(_LOGS[at] + _CELLS[at] * (rng.random(len(weight)) - 0.5))


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
