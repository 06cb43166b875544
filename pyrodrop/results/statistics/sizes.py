"""The size distribution in a few numbers, each with how sure it is: quantiles, mean diameters and spread.

Names follow ISO 9276-1 (cumulative distributions and their quantiles), ISO 9276-2 (mean diameters in the
moment-ratio notation, also ASTM E2578) and ASTM E799 (relative span of liquid drops).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike, NDArray

from pyrodrop.results.statistics.counts import Count, count_distribution
from pyrodrop.results.statistics.population import Population, Sample

Array = NDArray[np.float64]

STATISTICS: dict[str, str] = {
    "dn10": "diameter below which 10 % of the droplets lie",
    "dn50": "median diameter by number",
    "dn90": "diameter below which 90 % of the droplets lie",
    "dv10": "diameter below which 10 % of the volume lies",
    "dv50": "median diameter by volume",
    "dv90": "diameter below which 90 % of the volume lies",
    "d_1_0": "arithmetic mean diameter, M1 / M0",
    "d_3_2": "Sauter mean diameter, M3 / M2",
    "d_4_3": "De Brouckere mean diameter, M4 / M3",
    "span": "relative span, (dv90 - dv10) / dv50; without unit",
    "cv": "coefficient of variation, standard deviation of the diameter over its mean; without unit",
}
_LEVELS = (0.1, 0.5, 0.9)
_SPREAD = ("span", "cv")  # of one droplet there is none


class Estimate(NamedTuple):
    """A number and the interval that holds it with 90 %; NaN where the droplets do not determine it."""

    mean: float
    q05: float
    q95: float


@dataclass(frozen=True, eq=False)
class Sizes:
    """The size distribution in numbers.

    Attributes:
        statistics: an ``Estimate`` for each name in ``STATISTICS``, lengths in ``unit``.
        count: how many droplets there are in the image, whether the border cuts them or not.
        unit: "um" or "px".
        edge: what was done about the border of the image, in words.
        warnings: what to be wary of, in words; empty where nothing is.
    """

    statistics: Mapping[str, Estimate]
    count: Count
    unit: str
    edge: str
    warnings: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Estimate:
        return self.statistics[name]

    def as_dict(self) -> dict[str, dict[str, float | None]]:
        """Each statistic's mean, q05 and q95 as ``summary.json`` has them; None where not determined."""
        return {
            name: {part: None if np.isnan(value) else float(value) for part, value in estimate._asdict().items()}
            for name, estimate in self.statistics.items()
        }


def size_statistics(
    diameters_px: ArrayLike,
    presence: ArrayLike | None = None,
    *,
    pixel_size_um: float | None = None,
    cut: ArrayLike | None = None,
    size: tuple[int, int] | None = None,
    looked_at: NDArray[np.bool_] | None = None,
    counted: ArrayLike | None = None,
    shared_sd: float = 0.0,
    replicates: int = 4_000,
    seed: int = 0,
) -> Sizes:
    """Quantiles, mean diameters and spread of the population that the droplets were drawn from.

    Each replicate takes one posterior draw of all diameters, lets every droplet be present or not by its
    probability, and weighs those that are by a Dirichlet draw: Rubin's Bayesian bootstrap (1981), whose
    concentration is (n - 2) / n for n droplets, so that the variance of a mean is s^2 / n with the unbiased s^2
    (one, as in Rubin's paper, gives too little for few droplets). Mean and quantiles are over replicates. So
    the interval holds the uncertainty of each droplet and of having seen only so many. With ``counted`` the number
    itself is that of the counted droplets alone, its mean over the posterior draws: that of ``d_1_0`` is then what
    anyone gets who averages the diameters of the table's rows.

    Args:
        diameters_px: posterior draws, (draws, N), in px, positive; N may be 0. A single row (1, N) stands for
            diameters that are known.
        presence: probability that each droplet is present, (N,); one where not given.
        pixel_size_um: side of a pixel in micrometres; the statistics are then in micrometres.
        cut: which droplets the border of the image cuts, (N,). They are left out, and of those kept the large
            are weighed up for the places where they would have been cut (Miles and Lantuejoul), by
            W H / ((W - d) (H - d)). Needs ``size``. Without it all droplets count alike, which is right when a
            droplet is measured wherever its centre lies in the image.
        size: height and width (H, W) of the image in px.
        looked_at: pixels that were looked at, (H, W), whose edge is then the border; None for all.
        counted: which droplets are counted, (N,), as ``counts.counted`` says; the others only widen the intervals.
        shared_sd: standard deviation of the part of the presences' log odds that all droplets share, as
            ``counts.count_distribution`` takes it; with 0 they are present or not independently of each other.
        replicates: how many; more make the interval's ends steadier.
        seed: of all randomness.

    Returns:
        Statistics that fewer than half the replicates determine are NaN: all without a droplet, spread and
        every interval with fewer than two, because one droplet does not tell how others differ.

    Raises:
        ValueError: shapes that do not go together, diameters not positive, probabilities outside [0, 1], or
            ``cut`` without ``size``.

    Example:
        >>> import numpy as np, pyrodrop
        >>> diameters = np.random.default_rng(0).lognormal(2.0, 0.2, size=(1, 200))  # known, of 200 droplets
        >>> sizes = pyrodrop.size_statistics(diameters, pixel_size_um=0.5)
        >>> sizes.unit, bool(sizes["dn50"].q05 < np.median(diameters) / 2 < sizes["dn50"].q95)
        ('um', True)
    """
    sample = Sample.of(diameters_px, presence, cut, size, counted, looked_at)._replace(shared_sd=shared_sd)
    scale = 1.0 if pixel_size_um is None else float(pixel_size_um)
    if not 0 < scale < np.inf:
        raise ValueError(f"pixel_size_um is {pixel_size_um}: give a positive number, or None.")
    rows: list[Array] = []
    numbers: list[Array] = []
    for population in sample.populations(replicates, seed):
        rows.append(statistics_of(population))
        numbers.append(population.present.sum(1))
    values, number = np.concatenate(rows), np.concatenate(numbers)
    several = float((number >= 2).mean()) >= 0.5
    statistics = {}
    for column, name in enumerate(STATISTICS):
        unit = 1.0 if name in _SPREAD else scale
        statistics[name] = _estimate(values[:, column] * unit, several)
    if sample.counted is not None:
        values = np.concatenate([statistics_of(population) for population in sample.counted_alone()])
        for column, name in enumerate(STATISTICS):
            mean = _estimate(values[:, column] * (1.0 if name in _SPREAD else scale), False).mean
            statistics[name] = statistics[name]._replace(mean=mean)
    edge = (
        "all droplets count alike"
        if cut is None
        else "droplets at the border are left out, the others weighed by Miles and Lantuejoul"
    )
    count = count_distribution(np.ones(sample.total) if presence is None else presence, shared_sd)
    return Sizes(statistics, count, "px" if pixel_size_um is None else "um", edge, sample.warnings())


def statistics_of(population: Population) -> Float64[Array, "replicates statistics"]:
    """All of ``STATISTICS``, in their order, of each replicate: (replicates, 11), NaN where not defined."""
    d, w, present = population
    number = present.sum(1)
    if d.shape[1] == 0:
        return np.full((len(d), len(STATISTICS)), np.nan)
    # Those that are absent come last, so that they are no corners of the cumulative distribution.
    order = np.argsort(np.where(w > 0, d, np.inf), 1)
    d, w = np.take_along_axis(d, order, 1), np.take_along_axis(w, order, 1)
    powers = [w]
    for _ in range(4):
        powers.append(powers[-1] * d)
    moments, volume = [power.sum(1) for power in powers], powers[3]
    with np.errstate(invalid="ignore", divide="ignore"):
        by_number = _quantiles(d, w)
        by_volume = _quantiles(d, volume / moments[3][:, None])
        d_1_0 = moments[1] / moments[0]
        d_3_2, d_4_3 = moments[3] / moments[2], moments[4] / moments[3]
        span = (by_volume[2] - by_volume[0]) / by_volume[1]
        # The weights of n droplets hold (n - 1) / n of the population's variance, as a plain mean of squares does.
        unbiased = number / np.maximum(number - 1, 1)
        variance = (w * (d - d_1_0[:, None]) ** 2).sum(1) * unbiased
        cv = np.sqrt(variance) / d_1_0
    columns = np.stack([*by_number, *by_volume, d_1_0, d_3_2, d_4_3, span, cv], 1)
    columns[number < 1] = np.nan
    columns[number < 2, -len(_SPREAD) :] = np.nan
    return columns


def _quantiles(d: Float64[Array, "rows n"], share: Float64[Array, "rows n"]) -> list[Float64[Array, " rows"]]:
    """Diameters at the levels 10, 50 and 90 % of sorted diameters, by their shares (rows, N); the last may be 0.

    Each diameter stands at the middle of its step of the cumulative distribution, and between them it is
    straight: the step function itself would put every quantile of few droplets on a droplet.
    """
    last = np.maximum((share > 0).sum(1) - 1, 0)
    middle = np.cumsum(share, 1) - share / 2
    rows = np.arange(len(d))
    diameters = []
    for level in _LEVELS:
        above = (middle < level).sum(1)
        low, high = np.clip(above - 1, 0, last), np.clip(above, 0, last)
        gap = middle[rows, high] - middle[rows, low]
        part = np.where(gap > 0, (level - middle[rows, low]) / np.where(gap > 0, gap, 1), 0)
        diameters.append(d[rows, low] + np.clip(part, 0, 1) * (d[rows, high] - d[rows, low]))
    return diameters


def _estimate(values: Float64[Array, " replicates"], interval: bool) -> Estimate:
    known = values[~np.isnan(values)]
    if len(known) < 0.5 * len(values) or len(known) == 0:
        return Estimate(np.nan, np.nan, np.nan)
    low, high = np.quantile(known, [0.05, 0.95]) if interval else (np.nan, np.nan)
    return Estimate(float(known.mean()), float(low), float(high))
