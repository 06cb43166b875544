"""Draws of the sites of ``channel_fit``, of a guide or of the posterior, as a table of droplets."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from pyrodrop.inference.draws import Draws
from pyrodrop.results.tables.droplet_table import droplet_table

if TYPE_CHECKING:
    import pandas as pd


def table_of(
    draws: Mapping[str, Tensor], size: tuple[int, int], noise: float, pixel_size_um: float | None = None
) -> "pd.DataFrame":
    """The droplet table of draws.

    Args:
        draws: x and y as fractions of width and height, r in px and amplitude, each (draws, N).
        size: height and width (H, W) of the image in px.
        noise: standard deviation of the noise, in units of the amplitude.
        pixel_size_um: side of a pixel in micrometres, for the columns in them.
    """
    height, width = size
    in_px = {
        "x_px": draws["x"] * width,
        "y_px": draws["y"] * height,
        "radius_px": draws["r"],
        "amplitude": draws["amplitude"],
    }
    return droplet_table(in_px, size, noise, pixel_size_um=pixel_size_um)


def posterior_table(
    draws: Draws, size: tuple[int, int], noise: float, pixel_size_um: float | None = None
) -> "pd.DataFrame":
    """The droplet table of a posterior, (chains, draws, N) by site, with r_hat and effective: the worst of a droplet.

    Other arguments as for ``table_of``.
    """
    pooled = {name: values.flatten(0, 1) for name, values in draws.items()}
    table = table_of(pooled, size, noise, pixel_size_um)
    names = ("x", "y", "r", "amplitude")
    for column, by_site, worst in (
        ("r_hat", draws.stats.r_hat, max),
        ("effective", draws.stats.effective, min),
    ):
        table[column] = [worst(numbers) for numbers in zip(*(by_site[name].tolist() for name in names), strict=True)]
    return table
