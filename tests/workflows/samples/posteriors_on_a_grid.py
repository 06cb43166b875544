"""The posteriors of the models of samples by quadrature: the slow twins that draws are held against."""

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import ndtr

from pyrodrop.models.images_of_samples import FLAT, SPREAD_OF_NUMBERS, SPREAD_OF_SIZES

Array = NDArray[np.float64]


def quantiles_of_typical(logs: Array, errors: Array, levels: Array) -> Array:
    """Quantiles of the typical image's log, of the logs of a sample's images and their errors, (I,)."""
    centre = logs.mean()
    spread = np.concatenate([[0.0], np.geomspace(1e-4, 60, 3000)])
    variance = spread[:, None] ** 2 + errors**2
    precision = (1 / variance).sum(1) + FLAT**-2
    mean = ((logs - centre) / variance).sum(1) / precision
    density = -0.5 * (np.log(variance) + (logs - centre) ** 2 / variance).sum(1)
    density += 0.5 * precision * mean**2 - 0.5 * np.log(precision)
    weight = np.exp(density - density.max()) * np.gradient(spread) * stats.halfcauchy(scale=SPREAD_OF_SIZES).pdf(spread)
    places = np.linspace(-3, 3, 12_001)
    below = ndtr((places[:, None] - mean) * np.sqrt(precision)) @ (weight / weight.sum())
    return centre + np.interp(levels, below, places)


def quantiles_of_density(numbers: Array, areas: Array, errors: Array, levels: Array) -> Array:
    """Quantiles of the number per area, of the numbers of a sample's images and their areas, (I,)."""
    unit = areas.sum() / max(numbers.sum(), 1)
    spread, log_density = np.geomspace(1e-4, 60, 500), np.linspace(-6, 6, 1201)
    k = 1 / (spread[:, None, None] ** 2 + errors**2)
    expected = np.exp(log_density)[:, None] * areas / unit
    density = stats.nbinom(k, k / (k + expected)).logpmf(numbers).sum(-1) - log_density**2 / (2 * FLAT**2)
    prior = np.gradient(spread) * stats.halfcauchy(scale=SPREAD_OF_NUMBERS).pdf(spread)
    weight = (np.exp(density - density.max()) * prior[:, None]).sum(0)
    below = np.cumsum(weight) / weight.sum()
    return np.exp(np.interp(levels, below, log_density)) / unit
