"""Figures: one function each, taking axes and returning them. No global state of matplotlib is touched."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from pyrodrop.results.figures.shown_figure import ShownFigure

# Above this the unit of a loss axis is the million.
_MILLION = 1e6
# Red, green, blue and opacity over what was not looked at.
_VEIL = (0.15, 0.25, 0.55, 0.6)


def figure(rows: int = 1, columns: int = 1, panel: tuple[float, float] = (5.0, 3.75)) -> tuple[Figure, list[Axes]]:
    """A figure of rows * columns panels of the given size in inches, and its axes row by row."""
    # Compressed: constrained alone cuts off the tick labels of images whose panel is narrower than they are.
    drawn = ShownFigure(figsize=(panel[0] * columns, panel[1] * rows), layout="compressed", dpi=150)
    axes = drawn.subplots(rows, columns, squeeze=False)
    return drawn, list(axes.flat)


def image_panel(
    ax: Axes, image: Float[Tensor, "h w *c"], title: str, colour_bar: bool = True, **options: Any
) -> AxesImage:
    """An image (H, W) in gray or (H, W, 3) in colour, with its title and, in gray, its colour bar."""
    drawn = ax.imshow(image.detach().cpu().numpy(), **({"cmap": "gray"} | options))
    ax.set_title(title)
    if colour_bar and image.dim() == 2 and ax.figure is not None:
        ax.figure.colorbar(drawn, ax=ax, fraction=0.03, pad=0.04)
    return drawn


def channels(axes: Sequence[Axes], named: Mapping[str, Float[Tensor, "h w"]]) -> Sequence[Axes]:
    """Channels (H, W) by name, one to a panel, with colour bars."""
    for ax, (name, channel) in zip(axes, named.items(), strict=True):
        image_panel(ax, channel, f"{name} channel")
    return axes


def circles(
    ax: Axes,
    x: ArrayLike,
    y: ArrayLike,
    r: ArrayLike,
    size: tuple[int, int],
    colour: Any,
    filled: bool = True,
    **options: Any,
) -> Axes:
    """Circles of centres x, y and radii r in px, shape (N,), on the area of an image of size (H, W)."""
    height, width = size
    across = 2 * np.asarray(r, dtype=np.float64)
    look: dict[str, Any] = {"facecolor": colour if filled else "none", "edgecolor": "none" if filled else colour}
    # Not a patch each: 100,000 of them would take 400 MB, these 17 MB, for the same picture.
    look |= {"offsets": np.stack([x, y], 1), "offset_transform": ax.transData}
    ax.add_collection(EllipseCollection(across, across, np.zeros_like(across), units="xy", **(look | options)))
    ax.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), aspect="equal")
    return ax


def rendered_draws(axes: Sequence[Axes], val: Float[Tensor, "draws h w"]) -> Sequence[Axes]:
    """The first draws of the rendered prior as 1 - val, one to a panel; val of shape (draws, H, W)."""
    for number, ax in enumerate(axes):
        image_panel(ax, 1 - val[number], f"1 - val, draw {number + 1}")
    return axes


def prediction(
    axes: Sequence[Axes], val: Float[Tensor, "h w"], diff: Float[Tensor, "h w"], channel: Float[Tensor, "h w"]
) -> Sequence[Axes]:
    """Prediction, absolute difference and ground truth, each (H, W), with colour bars.

    Prediction and image have the same grays, so that equal means equal.
    """
    both = torch.stack([val.detach().cpu(), channel.detach().cpu()])
    same = {"vmin": both.min().item(), "vmax": both.max().item()}
    panels: tuple[tuple[str, Tensor, dict[str, Any]], ...] = (
        ("Prediction", val, same),
        ("Difference, absolute", diff.abs(), {}),
        ("Ground truth: the image", channel, same),
    )
    for ax, (title, image, grays) in zip(axes, panels, strict=True):
        image_panel(ax, image, title, **grays)
    return axes


def amplitudes(ax: Axes, amplitude: Float[Tensor, "..."], bins: int = 50) -> Axes:
    """Histogram of the droplets' amplitudes over all draws, any shape."""
    ax.hist(amplitude.detach().cpu().flatten().numpy(), bins=bins, edgecolor="black", linewidth=0.3)
    ax.set(xlabel="amplitude", ylabel="droplets, over all draws")
    return ax


def loss(ax: Axes, losses: Float[Tensor, " steps"]) -> Axes:
    """The loss of every iteration, (steps,), with its running mean over a hundredth of the run."""
    values = losses.detach().cpu().double().numpy()
    unit = _MILLION if np.median(values) >= _MILLION else 1.0
    window = max(1, len(values) // 100)
    means = values[: len(values) // window * window].reshape(-1, window).mean(1)
    few = window == 1
    look: dict[str, Any] = {"marker": "."} if few else {"linewidth": 0.3, "alpha": 0.4}
    ax.plot(np.arange(1, len(values) + 1), values / unit, label="loss", **look)
    if not few:
        ax.plot((np.arange(len(means)) + 0.5) * window + 0.5, means / unit, label=f"mean of {window}")
    # A start far off would press the rest of the curve flat.
    low, high = means.min() / unit, np.quantile(means, 0.95) / unit
    level = max(abs(high) * 1e-3, 1e-9) if high - low <= 1e-9 * abs(high) else 0.0
    ax.set(ylim=(low - 0.1 * (high - low) - level, high + 0.5 * (high - low) + level))
    ax.set(xlabel="iteration", ylabel="loss, millions" if unit == _MILLION else "loss")
    if few:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    else:
        ax.legend()
    return ax


def overlay(
    ax: Axes, image: Float[Tensor, "h w *c"], table: pd.DataFrame, looked_at: NDArray[np.bool_] | None = None
) -> Axes:
    """The image, (H, W) or (H, W, 3), and a circle of its radius around every droplet of the table.

    What was not looked at, where ``looked_at``, (H, W), is false, is veiled.
    """
    image_panel(ax, image, f"{len(table)} droplets", colour_bar=False)
    if looked_at is not None:
        veil = np.zeros((*looked_at.shape, 4))
        veil[~looked_at] = _VEIL
        ax.imshow(veil, interpolation="nearest")
    x, y, r = (table[name].to_numpy() for name in ("x_px", "y_px", "radius_px"))
    size = (image.shape[0], image.shape[1])
    ax.set(xlabel="x / px", ylabel="y / px")
    return circles(ax, x, y, r, size, "red", filled=False, linewidth=0.6)
