"""The amplitudes of each channel beside their mean: a droplet's colour."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd


def with_channel_amplitudes(
    table: "pd.DataFrame", names: Sequence[str], heights: NDArray[np.float64]
) -> "pd.DataFrame":
    """The table with ``amplitude_NAME``, its ``_sd``, ``_q05`` and ``_q95`` of each channel, where there are several.

    Args:
        table: one row per droplet, N of them.
        names: of the channels, C.
        heights: draws of the amplitudes, (draws, C, N).
    """
    if len(names) == 1:
        return table
    for c, name in enumerate(names):
        values = heights[:, c]
        low, high = np.quantile(values, [0.05, 0.95], axis=0)
        parts = {"": values.mean(0), "_sd": values.std(0), "_q05": low, "_q95": high}
        table = table.assign(**{f"amplitude_{name}{end}": part for end, part in parts.items()})
    return table
