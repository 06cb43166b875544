"""Figures of samples side by side: their distributions, and the ratios of their sizes."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator, PercentFormatter
from matplotlib.transforms import blended_transform_factory

from pyrodrop.results.figures.shown_figure import ShownFigure
from pyrodrop.results.figures.size_figures import BLUE, GRAY, GREEN, ORANGE, plain
from pyrodrop.results.statistics.distributions import SampleDistributions
from pyrodrop.results.statistics.pooled import Difference, Interval, PooledSample

# Of the palette of Okabe and Ito.
_COLOURS = (BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_UNITS = {"um": "µm", "px": "px"}
# Statistics above the distributions, and what marks them.
_MARKS = (("dn50", "o", "median, dn50"), ("d_3_2", "D", "Sauter mean, d_3_2"))
_LABELS = {"number_per_area": "number per area", "sd": "standard deviation", "d_1_0": "mean, d_1_0"}
_LABELS |= {"d_3_2": "Sauter mean, d_3_2", "d_4_3": "De Brouckere mean, d_4_3", "cv": "coefficient of variation"}
_LONGEST_NAME = 28


def distributions(binned: SampleDistributions, pooled: Mapping[str, PooledSample]) -> Figure:
    """Share of the droplets by diameter, one sample below the other on one axis.

    Filled: all droplets of a sample; thin lines: each of its images; above: medians by number and Sauter means, with
    the 90 % intervals that hold differences between images.
    """
    rows = len(binned.pooled)
    figure = ShownFigure(figsize=(6.0, 0.7 + 1.5 * rows), layout="constrained", dpi=150)
    panels = figure.subplots(rows, 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    highest = max(
        [share.max() for share in binned.pooled.values()]
        + [share.max() for images in binned.images.values() for _, share in images]
    )
    for number, (ax, (name, share)) in enumerate(zip(panels, binned.pooled.items(), strict=True)):
        colour = _COLOURS[number % len(_COLOURS)]
        ax.stairs(share, binned.edges, fill=True, color=colour, alpha=0.3, linewidth=0)
        for _, own in binned.images[name]:
            ax.stairs(own, binned.edges, color=colour, linewidth=0.7, alpha=0.8)
        if not number:
            ax.plot([], [], color=GRAY, linewidth=0.7, label="each image")
        above = blended_transform_factory(ax.transData, ax.transAxes)
        for height, (statistic, marker, words) in zip((0.93, 0.83), _MARKS, strict=True):
            if statistic in pooled[name].values:
                middle, low, high = Interval.of(pooled[name].values[statistic])
                ax.plot([low, high], [height] * 2, color=colour, linewidth=1.4, transform=above)
                ax.plot([middle], [height], marker, color=colour, markersize=4.5, transform=above, clip_on=False)
                if not number:  # in gray, for it is of all samples
                    ax.plot([], [], f"{marker}-", color=GRAY, markersize=4.5, linewidth=1.4, label=words)
        sample = pooled[name]
        images = f"{sample.images} image{'s' if sample.images > 1 else ''}"
        ax.set_title(f"{_shortened(name)}: {sample.droplets} droplets, {images}", fontsize="small", loc="left")
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        plain(ax)
    panels[0].set(xlim=(binned.edges[0], binned.edges[-1]), ylim=(0, 1.35 * max(highest, 1e-9)))
    if binned.logarithmic:
        _log_ticks(panels[0])
    panels[-1].set_xlabel(f"diameter at half height / {_UNITS[binned.unit]}")
    figure.supylabel("share of the droplets", fontsize="medium")
    if panels[0].get_legend_handles_labels()[0]:
        figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize="small")
    return figure


def ratios(differences: Sequence[Difference]) -> Figure:
    """Ratio of each statistic of a sample to that of another, with its 90 % interval, one pair beside the other.

    Args:
        differences: of one pair after the other, at least one.
    """
    pairs = list(dict.fromkeys((d.of, d.to) for d in differences))
    names = list(dict.fromkeys(d.statistic for d in differences))
    figure = ShownFigure(
        figsize=(5.6, 1.2 + 0.28 * len(names) * (1 + 0.4 * (len(pairs) - 1))), layout="constrained", dpi=150
    )
    ax = figure.subplots()
    ax.axvline(1, color=GRAY, linewidth=0.8, zorder=0)
    step = 0.7 / max(len(pairs), 1)
    for number, (of, to) in enumerate(pairs):
        own = [d for d in differences if (d.of, d.to) == (of, to)]
        places = [names.index(d.statistic) + step * (number - (len(pairs) - 1) / 2) for d in own]
        ends = np.array([[d.ratio.median - d.ratio.q05, d.ratio.q95 - d.ratio.median] for d in own]).T
        colour = _COLOURS[(number + 1) % len(_COLOURS)]
        label = f"{_shortened(of)} / {_shortened(to)}"
        middles = [d.ratio.median for d in own]
        ax.errorbar(middles, places, xerr=ends, fmt="o", color=colour, markersize=4, linewidth=1.4, label=label)
    ax.set_xscale("log")
    _log_ticks(ax)
    ax.set_yticks(range(len(names)), [_LABELS.get(name, name) for name in names])
    ax.invert_yaxis()
    ax.set_xlabel("ratio, with its 90 % interval")
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False, fontsize="small", ncols=min(len(pairs), 2))
    plain(ax)
    return figure


def _log_ticks(ax: Axes) -> None:
    """Plain numbers on a logarithmic axis, as close as its length wants them."""
    ax.set_xscale("log")
    low, high = ax.get_xlim()
    within = high / low
    steps = (1, 2, 5) if within > 8 else (1, 1.5, 2, 3, 4, 5, 7) if within > 2 else tuple(np.arange(10, 100, 1) / 10)
    ax.xaxis.set_major_locator(LogLocator(10, steps, numticks=9))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
