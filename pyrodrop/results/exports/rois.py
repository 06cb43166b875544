"""Droplets as regions of interest for ImageJ and Fiji: a zip of ovals that the ROI Manager opens."""

import os
from pathlib import Path
from typing import Any

import pandas as pd

from pyrodrop.results.storage.atomic_write import atomic_write

# Pixel centres lie on whole numbers here; in ImageJ the corner of the first pixel is the origin, its centre 0.5.
_TO_CORNERS = 0.5


def imagej_rois(table: pd.DataFrame, least_presence: float = 0.0) -> "list[Any]":
    """One oval for each droplet, sub-pixel, named by the droplet's id.

    Args:
        table: a droplet table, columns id, x_px, y_px, radius_px and, where known, presence.
        least_presence: droplets that are less probable are left out.

    Returns:
        ``roifile.ImagejRoi`` objects, in the order of the table.
    """
    from roifile import ROI_OPTIONS, ROI_TYPE, ImagejRoi

    droplets = likely(table, least_presence)
    digits = len(str(int(droplets["id"].max()))) if len(droplets) else 1
    rois = []
    for number, x, y, radius in droplets[["id", "x_px", "y_px", "radius_px"]].itertuples(index=False):
        left, top, side = x - radius + _TO_CORNERS, y - radius + _TO_CORNERS, 2 * radius
        # The whole numbers are what a reader without sub-pixels sees.
        rois.append(
            ImagejRoi(
                roitype=ROI_TYPE.OVAL,
                options=ROI_OPTIONS.SUB_PIXEL_RESOLUTION,
                name=f"{int(number):0{digits}d}",
                left=round(left),
                top=round(top),
                right=round(left + side),
                bottom=round(top + side),
                xd=left,
                yd=top,
                widthd=side,
                heightd=side,
            )
        )
    return rois


def write_rois(table: pd.DataFrame, path: str | os.PathLike[str], least_presence: float = 0.0) -> None:
    """Write the droplets as a zip that ImageJ's ROI Manager opens; see ``imagej_rois``."""
    from roifile import roiwrite

    rois = imagej_rois(table, least_presence)

    def write(temporary: Path) -> None:
        roiwrite(temporary, rois, mode="w")

    atomic_write(path, write)


def likely(table: pd.DataFrame, least_presence: float) -> pd.DataFrame:
    """The rows of droplets that are at least so probable; all where the table says nothing of presence.

    Raises:
        ValueError: if the probability is not within [0, 1].
    """
    if not 0 <= least_presence <= 1:
        raise ValueError(f"least_presence is {least_presence}: give a probability within [0, 1].")
    return table[table["presence"] >= least_presence] if "presence" in table else table
