"""What one image of several says: its number of droplets, its area, and the logs of its sizes with their errors."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from pyrodrop.results.statistics.population import Sample
from pyrodrop.results.statistics.sizes import STATISTICS, statistics_of

Array = NDArray[np.float64]

NUMBER = "number_per_area"
# What is pooled over images, in this order, and what it is.
SIZES: dict[str, str] = {
    "d_1_0": STATISTICS["d_1_0"],
    "sd": "standard deviation of the diameters",
    **{name: words for name, words in STATISTICS.items() if name != "d_1_0"},
}
WITHOUT_UNIT = ("span", "cv")
# Of fewer droplets Student's t, by which their mean differs from that of all, has no variance.
FEWEST = 4
# Only a mean and a standard deviation are made of them.
_REPLICATES = 400


class ImageStatistics(NamedTuple):
    """What an image says.

    Attributes:
        number: how many droplets, the count's median.
        number_error: standard deviation of the count over its mean; of what is counted, whatever the sample has.
        area: that was looked at, in mm2, or Mpx (millions of pixels) where the size of a pixel is not known.
        log_sizes: log of each of ``SIZES``, (S,); NaN where the image has too few droplets.
        errors: their standard deviations: how far those of other droplets of the same image would lie, (S,).
    """

    number: int
    number_error: float
    area: float
    log_sizes: Float64[Array, " sizes"]
    errors: Float64[Array, " sizes"]


class SampledImage(NamedTuple):
    """One image of a sample.

    Attributes:
        name: what it is called.
        statistics: what it says.
        diameters: posterior draws of its droplets, (draws, N), in ``unit``.
        presence: how probable each of them is, (N,).
        unit: of lengths, "um" or "px".
        altered: whether its table was edited by hand since it was measured.
        warnings: how many of its own it has.
    """

    name: str
    statistics: ImageStatistics
    diameters: Float64[Array, "draws n"]
    presence: Float64[Array, " n"]
    unit: str
    altered: bool = False
    warnings: int = 0


def log_sizes(sample: Sample, scale: float = 1.0, seed: int = 0) -> tuple[Array, Array]:
    """The log of each of ``SIZES`` of an image's droplets, and how sure it is, (S,) each.

    Mean and standard deviation over Bayesian bootstrap replicates, see ``size_statistics``. The latter is that of
    Student's t instead of a normal distribution, by sqrt((n - 1) / (n - 3)) larger for n droplets: from few of them
    their scatter is not known well.

    Args:
        sample: the droplets.
        scale: the length of a pixel.
        seed: of all randomness.

    Returns:
        NaN of an image that is not expected to have ``FEWEST`` droplets.
    """
    nothing = np.full(len(SIZES), np.nan)
    number = float(sample.presence.sum())
    if number < FEWEST:
        return nothing, nothing
    values = np.concatenate([statistics_of(population) for population in sample.populations(_REPLICATES, seed)])
    by_name = dict(zip(STATISTICS, values.T, strict=True))
    by_name["sd"] = by_name["cv"] * by_name["d_1_0"]
    lengths = np.array([1.0 if name in WITHOUT_UNIT else scale for name in SIZES])
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(np.stack([by_name[name] for name in SIZES], 1) * lengths)
    logs[~np.isfinite(logs)] = np.nan
    if (np.isfinite(logs).mean(0) < 0.5).any():
        return nothing, nothing
    return np.nanmean(logs, 0), np.nanstd(logs, 0) * np.sqrt((number - 1) / (number - 3))
