"""The image at full resolution with a circle around each droplet, and a scale bar where its pixels' size is known."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from pyrodrop.results.figures.fit_figures import circles

_INCHES = 8.0  # of the longer side
# Pixels of a picture along its longer side, at least; each pixel of the image is a square of whole ones.
_LEAST_SIDE = 1200
# Of the image's width: the longest scale bar, and its distance from the edges.
_LONGEST_BAR, _MARGIN = 0.25, 0.03


def scaled_overlay(image: NDArray[np.float32], table: pd.DataFrame, pixel_size_um: float | None) -> Figure:
    """A figure that is the image and nothing else, every pixel of it whole, with circles and scale bar.

    Args:
        image: (H, W).
        table: a droplet table, columns x_px, y_px and radius_px.
        pixel_size_um: side of a pixel in micrometres; without it there is no scale bar.
    """
    height, width = image.shape
    longer = max(height, width)
    enlarged = max(1, math.ceil(_LEAST_SIDE / longer))
    dpi = enlarged * longer / _INCHES
    # Whole pixels in spite of rounding: the size in inches is made of them.
    figure = Figure(figsize=(enlarged * width / dpi, enlarged * height / dpi), dpi=dpi)
    ax = figure.add_axes((0, 0, 1, 1))
    ax.imshow(image, cmap="gray", interpolation="nearest")
    ax.axis("off")
    x, y, r = (table[name].to_numpy(float) for name in ("x_px", "y_px", "radius_px"))
    circles(ax, x, y, r, (height, width), "red", filled=False, linewidth=0.8)
    if pixel_size_um is not None:
        _scale_bar(ax, (height, width), pixel_size_um)
    return figure


def bar_length(width_um: float) -> float:
    """The longest of 1, 2 and 5 times a power of ten that is at most a quarter of the width, in its unit."""
    most = _LONGEST_BAR * width_um
    power = 10.0 ** math.floor(math.log10(most))
    return max(step * power for step in (1, 2, 5) if step * power <= most * (1 + 1e-9))


def _scale_bar(ax: Axes, size: tuple[int, int], pixel_size_um: float) -> None:
    """A white bar with a black rim at the lower right, which is seen on any ground."""
    height, width = size
    length_um = bar_length(width * pixel_size_um)
    length, thick, margin = length_um / pixel_size_um, max(0.012 * height, 1.0), _MARGIN * width
    left, top = width - 0.5 - margin - length, height - 0.5 - margin - thick
    bar = Rectangle((left, top), length, thick, facecolor="white", edgecolor="black", linewidth=0.8, zorder=5)
    ax.add_patch(bar)
    text = f"{length_um / 1000:g} mm" if length_um >= 1000 else f"{length_um:g} µm"
    rim = [withStroke(linewidth=2, foreground="black")]
    middle = left + length / 2
    ax.text(
        middle,
        top - 0.3 * thick,
        text,
        color="white",
        ha="center",
        va="bottom",
        fontsize=11,
        path_effects=rim,
        zorder=6,
    )
