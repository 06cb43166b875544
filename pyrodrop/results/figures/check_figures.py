"""Figures that say how far results are to be trusted: one function each, taking axes and returning them."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter
from numpy.typing import ArrayLike

from pyrodrop.results.checks.calibration import RankCheck, cumulative_band, rank_histogram
from pyrodrop.results.checks.residuals import ImageFit
from pyrodrop.results.figures.size_figures import BLUE, GREEN, ORANGE, plain

_COLOURS = (BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def residuals(ax: Axes, residual: ArrayLike, fit: ImageFit | None = None) -> Axes:
    """A residual map (H, W) in standard deviations of the noise, white at 0, full colour at 5."""
    drawn = ax.imshow(np.asarray(residual), cmap="RdBu_r", vmin=-5, vmax=5, interpolation="nearest")
    if ax.figure is not None:
        bar = ax.figure.colorbar(drawn, ax=ax, fraction=0.03, pad=0.03, extend="both")
        bar.set_label("residual / noise")
    ax.set(xlabel="x / px", ylabel="y / px")
    if fit is not None:
        verdict = "" if fit.fits else ", does not fit"
        ax.set_title(f"reduced chi-square {fit.reduced_chi_square:.2g}{verdict}", fontsize="medium")
    return ax


def ranks(ax: Axes, check: RankCheck, name: str) -> Axes:
    """Histogram of the ranks of the truth; a calibrated posterior's bars end in the gray with 95 %, each."""
    from scipy.stats import binom  # late: it takes a second to import, and measurements draw no ranks

    counts, expected = rank_histogram(check.ranks, check.draws)
    edges = np.concatenate([[0], np.cumsum(expected)]) / len(check.ranks)
    n = len(check.ranks)
    low, high = binom.ppf(0.025, n, np.diff(edges)), binom.ppf(0.975, n, np.diff(edges))
    ax.stairs(high, edges, baseline=low, fill=True, color="#d9d9d9", label="95 % where calibrated")
    ax.stairs(counts, edges, color=BLUE, linewidth=1.5, label=f"{n} runs")
    ax.set(xlabel=f"rank of the true {name} among {check.draws} draws, as a share", ylabel="runs", xlim=(0, 1))
    ax.set_ylim(0, 1.35 * max(counts.max(), high.max()))
    ax.legend(frameon=False, loc="upper center", ncols=2, fontsize="small")
    return plain(ax)


def rank_difference(ax: Axes, check: RankCheck, name: str) -> Axes:
    """Cumulative distribution of the ranks less the straight line, in the band that all of it keeps to with 95 %."""
    places, low, high = cumulative_band(len(check.ranks), check.draws)
    u = check.ranks[:, None] < np.round(places * (check.draws + 1))
    inner = np.concatenate([[0], places, [1]])
    curves = [np.concatenate([[0], values - places, [0]]) for values in (low, high, u.mean(0))]
    ax.fill_between(inner, curves[0], curves[1], color="#d9d9d9", linewidth=0, label="95 % where calibrated")
    ax.plot(inner, curves[2], color=BLUE, linewidth=1.5, label=f"{len(check.ranks)} runs")
    ax.axhline(0, color="black", linewidth=0.6)
    largest = 1.5 * max(np.abs(curve).max() for curve in curves)
    ax.set(xlabel=f"rank of the true {name}, as a share", ylabel="cumulative share less uniform", xlim=(0, 1))
    ax.set_ylim(-largest, largest)
    ax.legend(frameon=False, loc="upper center", ncols=2, fontsize="small")
    return plain(ax)


def detection(ax: Axes, curve: pd.DataFrame) -> Axes:
    """Probability that a droplet is found, by radius, with its 90 % interval; a line for each contrast.

    Args:
        ax: where to draw.
        curve: radius_px, contrast, probability, q05, q95 as ``inject`` gives them.
    """
    for number, (contrast, points) in enumerate(curve.sort_values("radius_px").groupby("contrast")):
        colour = _COLOURS[number % len(_COLOURS)]
        ax.fill_between(points["radius_px"], points["q05"], points["q95"], color=colour, alpha=0.15, linewidth=0)
        ax.plot(points["radius_px"], points["probability"], "o-", color=colour, markersize=4, label=f"{contrast:g}")
    ax.axhline(0.5, color="black", linestyle=":", linewidth=0.8)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    ax.set(xlabel="radius / px", ylabel="droplets found", ylim=(-0.02, 1.02))
    ax.legend(title="contrast", frameon=False, fontsize="small")
    return plain(ax)


def radius_bias(ax: Axes, curve: pd.DataFrame) -> Axes:
    """Mean relative error of the radius of those found, by radius, with 1.64 standard errors; a line a contrast."""
    for number, (contrast, points) in enumerate(curve.sort_values("radius_px").groupby("contrast")):
        known = points[points["radius_bias"].notna()]
        error = 1.645 * known["radius_bias_se"].fillna(0.0)
        colour = _COLOURS[number % len(_COLOURS)]
        aside = known["radius_px"] * (1 + 0.015 * number)  # so that the bars of two contrasts do not hide each other
        ax.errorbar(aside, known["radius_bias"], error, fmt="o-", color=colour, markersize=4, label=f"{contrast:g}")
    ax.axhline(0, color="black", linewidth=0.6)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    ax.set(xlabel="radius / px", ylabel="error of the radius found")
    ax.legend(title="contrast", frameon=False, fontsize="small")
    return plain(ax)
