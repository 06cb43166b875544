"""Figures of droplets through time: one function each, taking axes and returning them."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from pyrodrop.results.figures.size_figures import BLUE, GRAY, ORANGE, plain
from pyrodrop.results.statistics.coarsening import Coarsening

# Of fewer tracks all are shown whole.
_FEW = 40


def trails(ax: Axes, table: pd.DataFrame, size: tuple[int, int]) -> Axes:
    """The way of every track, coloured from its first frame to its last, on the area of an image of size (H, W)."""
    height, width = size
    ordered = table.sort_values(["track", "frame"])
    where = ordered[["x_px", "y_px"]].to_numpy()
    same = ordered["track"].to_numpy()[1:] == ordered["track"].to_numpy()[:-1]
    lines = np.stack([where[:-1], where[1:]], 1)[same]
    drawn = LineCollection(list(lines), cmap="viridis", linewidths=0.8)
    drawn.set_array(ordered["frame"].to_numpy()[1:][same])
    ax.add_collection(drawn)
    ax.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), aspect="equal", xlabel="x / px", ylabel="y / px")
    ax.set_title(f"{ordered['track'].nunique()} tracks")
    if ax.figure is not None and same.any():
        ax.figure.colorbar(drawn, ax=ax, label="frame", fraction=0.04)
    return ax


def curve(ax: Axes, population: pd.DataFrame, name: str, label: str) -> Axes:
    """A column of the population against time, with its 90 % band."""
    time, unit = _time(population)
    ax.fill_between(time, population[f"{name}_q05"], population[f"{name}_q95"], color=BLUE, alpha=0.25, linewidth=0)
    ax.plot(time, population[name], color=BLUE, linewidth=1.4)
    ax.set(xlabel=f"time / {unit}", ylabel=label)
    return plain(ax)


def growth(ax: Axes, population: pd.DataFrame, found: Coarsening | None) -> Axes:
    """The mean radius against time on logarithmic axes of both, with the exponent of its growth in the title."""
    curve(ax, population, "mean_radius_px", "mean radius / px")
    if found is not None and found.grows:
        ax.set_title(f"r = (r₀^(1/n) + k t)^n, n = {found.exponent:.2f} ({found.q05:.2f} to {found.q95:.2f})")
    elif found is not None:
        ax.set_title("no growth that can be told from none")
    return ax


def rates(ax: Axes, table: pd.DataFrame) -> Axes:
    """The rate of every track with its 90 % interval, by the size of its interval's middle: sorted."""
    known = table.dropna(subset=["dr_dt_px_per_frame"]).sort_values("dr_dt_px_per_frame", ignore_index=True)
    place = np.arange(len(known))
    low, high = known["dr_dt_px_per_frame_q05"], known["dr_dt_px_per_frame_q95"]
    ax.vlines(place, low, high, color=BLUE, alpha=0.4, linewidth=1.0, label="90 % interval")
    ax.plot(place, known["dr_dt_px_per_frame"], ".", color=ORANGE, markersize=3, label="mean")
    ax.axhline(0, color=GRAY, linewidth=0.8)
    # a track of two frames has an interval that would press all others flat
    if len(known):
        share = 0.05 if len(known) > _FEW else 0.0
        lowest, highest = np.quantile(low, share), np.quantile(high, 1 - share)
        margin = 0.15 * (highest - lowest) + 1e-9
        ax.set_ylim(lowest - margin, highest + margin)
        ax.legend(frameon=False)
    ax.set(xlabel="tracks, sorted", ylabel="dr/dt / px a frame")
    return plain(ax)


def _time(population: pd.DataFrame) -> tuple[pd.Series, str]:
    return (population["time_s"], "s") if "time_s" in population else (population["frame"], "frames")
