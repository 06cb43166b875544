"""Figures of sizes and counts: one function each, taking axes and returning them."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, PercentFormatter
from matplotlib.transforms import blended_transform_factory

from pyrodrop.results.statistics.counts import Count
from pyrodrop.results.statistics.histogram import SizeHistogram
from pyrodrop.results.statistics.sizes import Sizes

# Of the palette of Okabe and Ito, which readers of any colour vision can tell apart.
BLUE, ORANGE, GREEN, GRAY = "#0072B2", "#D55E00", "#009E73", "#767676"
# Heights of the medians, as shares of the panel's.
_LINES = (0.80, 0.75)
_UNITS = {"um": "µm", "px": "px"}
_MOST_BARS = 120


def plain(ax: Axes) -> Axes:
    """Without the frame's upper and right side, as journals like it."""
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def histogram(ax: Axes, sizes: SizeHistogram, statistics: Sizes | None = None, ends: str = "") -> Axes:
    """Share of the droplets in each bin of diameter, the 90 % band of each, and dn50 and dv50 where given.

    The medians, with their intervals, lie above the bins, where they hide nothing and not each other.

    Args:
        ax: where to draw.
        sizes: shares by diameter.
        statistics: where the medians come from.
        ends: where a diameter ends, for the axis, as "at half height"; it says nothing where not given.
    """
    edges = sizes.edges
    ax.stairs(sizes.q95, edges, baseline=sizes.q05, fill=True, color=BLUE, alpha=0.25, linewidth=0, label="90 % band")
    ax.stairs(sizes.share, edges, color=BLUE, linewidth=1.6, label="droplets")
    above = blended_transform_factory(ax.transData, ax.transAxes)
    medians = (("dn50", GREEN, "median by number, dn50"), ("dv50", ORANGE, "median by volume, dv50"))
    known = [] if statistics is None else [(statistics[name], colour, words) for name, colour, words in medians]
    for (estimate, colour, words), height in zip(known, _LINES, strict=False):
        if np.isnan(estimate.mean):
            continue
        points = [estimate.mean] if np.isnan(estimate.q05) else [estimate.q05, estimate.mean, estimate.q95]
        ax.plot(points, [height] * len(points), color=colour, linewidth=1.6, transform=above)
        (dot,) = ax.plot([estimate.mean], [height], "o", color=colour, markersize=5, transform=above, label=words)
        dot.set_clip_on(False)
        dot.set_in_layout(False)  # one far beyond the bins, as of a few large droplets, would leave the axes no room
    if sizes.logarithmic:
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(10, (1, 2, 5)))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    ax.set(
        xlabel=f"diameter{f' {ends}' if ends else ''} / {_UNITS[sizes.unit]}",
        ylabel="share of the droplets",
        xlim=(edges[0], edges[-1]),
    )
    ax.set_ylim(0, 1.45 * sizes.q95.max())  # room for the legend and the medians
    ax.legend(frameon=False, ncols=2, loc="upper center", fontsize="x-small")
    ax.set_title(f"{sizes.expected:.0f} droplets", fontsize="medium")
    return plain(ax)


def count(ax: Axes, counted: Count) -> Axes:
    """Probability of each number of droplets, the 90 % interval in colour.

    Where they are more than bars can be told apart, a bar is of several numbers that follow each other, and as high as
    their mean.
    """
    low, high = counted.quantile(0.05), counted.quantile(0.95)
    from_, to = counted.quantile(0.0005), counted.quantile(0.9995)
    numbers = np.arange(max(from_ - 1, 0), min(to + 1, len(counted.probability) - 1) + 1)
    together = -(-len(numbers) // _MOST_BARS)
    starts = np.arange(0, len(numbers), together)
    width = np.diff(np.append(starts, len(numbers)))
    height = np.add.reduceat(counted.probability[numbers], starts) / width
    middle = numbers[starts] + (width - 1) / 2
    inside = (middle >= low) & (middle <= high)
    for members, colour, name in ((inside, BLUE, f"90 %: {low} to {high}"), (~inside, "#c8c8c8", None)):
        drawn = width[members] * (0.8 if together == 1 else 1.0)
        ax.bar(middle[members], height[members], color=colour, width=drawn, label=name)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    ax.set(xlabel="number of droplets", ylabel="probability")
    if len(numbers) < 3:
        ax.set_xlim(numbers[0] - 2, numbers[-1] + 2)
    ax.legend(frameon=False)
    ax.set_title(f"{counted.mean:.1f} ± {counted.sd:.1f} droplets", fontsize="medium")
    return plain(ax)
