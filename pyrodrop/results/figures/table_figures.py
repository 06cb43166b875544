"""Figures that a page can make by itself from the table and the residual, where a folder does not hold them."""

from io import BytesIO

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pyrodrop.results.figures import fit_figures as plots
from pyrodrop.results.figures import size_figures as size_plots
from pyrodrop.results.statistics.histogram import SizeHistogram, size_histogram

_DRAWS, _REPLICATES = 100, 500
# Of many droplets fewer will do; so many numbers are drawn at most, but a few of each droplet.
_MOST_DRAWN, _MOST_REPLICATED = 5_000_000, 20_000_000
_LEAST_DRAWS, _LEAST_REPLICATES = 4, 50


def size_figure(table: pd.DataFrame, pixel_size_um: float | None) -> bytes | None:
    """The size distribution with its band, as a PNG; None without droplets or without their uncertainty."""
    shares = table_histogram(table, pixel_size_um)
    if shares is None:
        return None
    figure, axes = plots.figure()
    size_plots.histogram(axes[0], shares)
    return _png(figure)


def table_histogram(table: pd.DataFrame, pixel_size_um: float | None) -> SizeHistogram | None:
    """Shares of the droplets by diameter with their band; None without droplets or without their uncertainty.

    Each radius is taken for normal, with the mean and the standard deviation of the table.
    """
    if not len(table) or "radius_px_sd" not in table:
        return None
    mean, sd = (2 * table[name].to_numpy(dtype=np.float64) for name in ("radius_px", "radius_px_sd"))
    known = np.isfinite(mean) & np.isfinite(sd) & (mean > 0)
    if not known.any():
        return None
    mean, sd = mean[known], sd[known]
    draws = max(_LEAST_DRAWS, min(_DRAWS, _MOST_DRAWN // len(mean)))
    replicates = max(_LEAST_REPLICATES, min(_REPLICATES, _MOST_REPLICATED // len(mean)))
    drawn = mean + sd * np.random.default_rng(0).standard_normal((draws, len(mean)))
    # A diameter that is as unsure as it is large must not be drawn below nothing.
    diameters = np.maximum(drawn, 1e-3 * mean)
    presence = np.clip(table["presence"].to_numpy(dtype=np.float64)[known], 0, 1)
    return size_histogram(diameters, presence, pixel_size_um=pixel_size_um, replicates=replicates)


def _png(figure: Figure) -> bytes:
    stream = BytesIO()
    figure.savefig(stream, format="png")
    return stream.getvalue()
