"""How many droplets have which size: shares in bins, with a credible band."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike, NDArray

from pyrodrop.results.statistics.counts import LIKELY, presences

Array = NDArray[np.float64]

# Sizes that span more than this factor between their 5 % and 95 % quantiles are read on a logarithmic axis.
_WIDE = 5.0
_FEWEST, _MOST = 5, 40


@dataclass(frozen=True, eq=False)
class SizeHistogram:
    """Shares of the droplets by diameter.

    Attributes:
        edges: of the bins, rising, (B + 1,), in ``unit``.
        share: of the droplets in each bin, (B,); posterior mean.
        q05, q95: the band that holds the population's share of each bin with 90 %, bin by bin, (B,).
        logarithmic: whether the bins are equally wide in the logarithm of the diameter.
        unit: "um" or "px".
        expected: how many droplets are expected.
    """

    edges: Float64[Array, " edges"]
    share: Float64[Array, " bins"]
    q05: Float64[Array, " bins"]
    q95: Float64[Array, " bins"]
    logarithmic: bool
    unit: str
    expected: float


def size_histogram(
    diameters_px: ArrayLike,
    presence: ArrayLike | None = None,
    *,
    pixel_size_um: float | None = None,
    bins: ArrayLike | None = None,
    logarithmic: bool | None = None,
    replicates: int = 2_000,
    seed: int = 0,
) -> SizeHistogram:
    """Shares of the droplets by diameter, with a band for what is not known.

    A replicate takes a posterior draw of all diameters, lets each droplet be present or not, counts, and draws the
    population's share of a bin that holds k of n droplets from Beta(k + 1/2, n - k + 1/2), Jeffreys' posterior of
    a binomial share: a bin without droplets has a band too.

    Args:
        diameters_px: posterior draws, (draws, N), in px, positive; N may be 0.
        presence: probability that each droplet is present, (N,); one where not given.
        pixel_size_um: side of a pixel in micrometres; bins are then in micrometres.
        bins: edges, rising; where not given, by the rule of Freedman and Diaconis (1981), 5 to 40 of them.
        logarithmic: bins equally wide in the logarithm; where not given, if the sizes span a factor above 5.
        replicates: how many.
        seed: of all randomness.

    Raises:
        ValueError: shapes that do not go together, diameters not positive, or edges that do not rise.
    """
    d = np.asarray(diameters_px, dtype=np.float64)
    if d.ndim != 2 or len(d) == 0:
        raise ValueError(f"the diameters have shape {d.shape}: give draws of shape (draws, N), at least one.")
    if not (np.isfinite(d) & (d > 0)).all():
        raise ValueError("the diameters have values that are not positive and finite: leave those droplets out.")
    d = d * (1.0 if pixel_size_um is None else pixel_size_um)
    p = np.ones(d.shape[1]) if presence is None else presences(presence)
    if len(p) != d.shape[1]:
        raise ValueError(f"presence has {len(p)} entries for {d.shape[1]} droplets: give one a droplet.")
    likely = np.median(d, 0)[p >= LIKELY]
    if logarithmic is None:
        low, high = np.quantile(likely, [0.05, 0.95]) if len(likely) else (1.0, 1.0)
        logarithmic = bool(high / low > _WIDE)
    edges = _edges(likely, d[:, p >= LIKELY], logarithmic) if bins is None else np.asarray(bins, dtype=np.float64)
    if edges.ndim != 1 or len(edges) < 2 or not (np.diff(edges) > 0).all():
        raise ValueError("bins do not rise: give at least two edges, each above the one before.")
    generator = np.random.default_rng(seed)
    shares = np.full((replicates, len(edges) - 1), np.nan)
    population = np.empty_like(shares)
    for row in range(replicates):
        present = generator.random(len(p)) < p
        number = int(present.sum())
        counted = np.histogram(d[generator.integers(len(d)), present], edges)[0]
        if number:
            shares[row] = counted / number
        population[row] = generator.beta(counted + 0.5, number - counted + 0.5)
    known = ~np.isnan(shares[:, 0])
    share = shares[known].mean(0) if known.any() else np.zeros(shares.shape[1])
    q05, q95 = np.quantile(population, [0.05, 0.95], axis=0)
    # With no droplets in it a bin's share may well be none at all.
    q05 = np.where(share == 0, 0.0, q05)
    return SizeHistogram(edges, share, q05, q95, logarithmic, "px" if pixel_size_um is None else "um", float(p.sum()))


def _edges(diameters: Array, draws: Array, logarithmic: bool) -> Array:
    """Edges of equal bins around the diameters, one of each droplet, (n,), and nine tenths of the draws of all, (draws,
    n): droplets that are alike are less apart than each is unsure. A bin is 2 IQR / n^(1/3) wide.
    """
    if len(diameters) == 0:
        return np.linspace(0.0, 1.0, _FEWEST + 1)
    values = np.log(diameters) if logarithmic else diameters
    reach = np.quantile(np.log(draws) if logarithmic else draws, [0.05, 0.95])
    low, high = min(float(values.min()), float(reach[0])), max(float(values.max()), float(reach[1]))
    spread = float(np.subtract(*np.quantile(values, [0.75, 0.25])))
    if high - low <= 1e-9 * max(abs(high), 1.0):
        low, high = (low - 0.1, high + 0.1) if logarithmic else (0.9 * low, 1.1 * high)
    width = 2 * spread / len(values) ** (1 / 3)
    number = int(np.clip(np.ceil((high - low) / width) if width > 0 else _FEWEST, _FEWEST, _MOST))
    # Half a bin of air on both sides: the draws of the outermost droplets scatter beyond their medians.
    air = (high - low) / number / 2
    bottom = low - air if logarithmic else max(low - air, 0.0)
    edges = np.linspace(bottom, high + air, number + 2)
    return np.exp(edges) if logarithmic else edges
