"""Figures of droplets as they look: the pictures that they share."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike


def pictures(axes: Sequence[Axes], drawn: ArrayLike) -> Sequence[Axes]:
    """One picture an axis, in gray or, of three colours, in colour about gray; white beyond the disc.

    Args:
        axes: K of them.
        drawn: the pictures, (K, C or 1, side, side), NaN beyond the disc; C is 3 for a picture in colour, of other
            numbers the mean is shown.
    """
    values = np.asarray(drawn, dtype=np.float64)
    for number, (ax, each) in enumerate(zip(axes, values, strict=True), 1):
        span = float(np.nanmax(np.abs(each))) or 1.0
        shown = each.mean(0, keepdims=True) if len(each) != 3 else each
        level = np.nan_to_num(0.5 + shown / (2 * span), nan=1.0)
        ax.imshow(np.repeat(level, 3 // len(level), 0).transpose(1, 2, 0).clip(0, 1), interpolation="nearest")
        ax.set_title(f"picture {number}", fontsize="medium")
        ax.set_axis_off()
    return axes
