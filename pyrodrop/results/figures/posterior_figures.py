"""What draws of a posterior hold that independent numbers do not: wider intervals, and what trades against what."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.ticker import LogFormatter
from torch import Tensor

# Of each kind of number: its name in the legend, and its colour.
_KINDS = {"x": "tab:blue", "y": "tab:cyan", "r": "tab:orange", "amplitude": "tab:red"}
_SHOWN = 1_000  # draws in a cloud of points


def posterior_and_guide(
    axes: Sequence[Axes], posterior: Mapping[str, Tensor], guide: Mapping[str, Tensor], seed: int = 0
) -> Sequence[Axes]:
    """Two panels: how much wider the posterior of every number is than the guide's, and the background's trade.

    Args:
        axes: two of them.
        posterior, guide: bg (draws,) and x, y, r and amplitude (draws, N); the numbers of draws may differ.
        seed: of the choice of the draws that are shown.
    """
    widths, trade = axes
    radius = posterior["r"].mean(0)
    for name, colour in _KINDS.items():
        ratio = posterior[name].std(0) / guide[name].std(0)
        widths.scatter(radius, ratio, s=14, color=colour, label=name, alpha=0.7, linewidths=0)
    widths.axhline(1.0, color="black", linewidth=0.8)
    widths.set(xscale="log", yscale="log", xlabel="radius of the droplet / px")
    widths.set(ylabel="standard deviation: posterior / guide")
    for axis in (widths.xaxis, widths.yaxis):  # a span of less than ten is read in numbers, not in powers
        axis.set_major_formatter(LogFormatter(minor_thresholds=(2.0, 0.5)))
        axis.set_minor_formatter(LogFormatter(minor_thresholds=(2.0, 0.5)))
    widths.legend()
    name, number = _trades_most(posterior)
    rng = np.random.default_rng(seed)
    for label, draws, colour in (("guide", guide, "tab:gray"), ("posterior", posterior, "tab:red")):
        level, other = draws["bg"].numpy(), draws[name][:, number].numpy()
        some = rng.permutation(len(level))[:_SHOWN]
        trade.scatter(level[some], other[some], s=6, color=colour, label=label, alpha=0.6, linewidths=0)
    unit = " / px" if name == "r" else ""
    trade.set(xlabel="background", ylabel=f"{name}{unit}, of the droplet of {float(radius[number]):.3g} px")
    trade.legend()
    return axes


def _trades_most(posterior: Mapping[str, Float[Tensor, "..."]]) -> tuple[str, int]:
    """The radius or amplitude that is most correlated with the background, and of which droplet."""
    level = posterior["bg"] - posterior["bg"].mean()
    found: list[tuple[float, str, int]] = []
    for name in ("r", "amplitude"):
        apart = posterior[name] - posterior[name].mean(0)
        correlation = (level @ apart).abs() / (level.norm() * apart.norm(dim=0))
        number = int(correlation.argmax())
        found.append((float(correlation[number]), name, number))
    _, name, number = max(found)
    return name, number
