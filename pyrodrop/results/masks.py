"""Droplets as a label image: every pixel holds the number of the droplet that it belongs to."""

import os

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pyrodrop.results.rois import likely
from pyrodrop.results.whole import write_whole

Labels = NDArray[np.uint16] | NDArray[np.uint32]


def label_mask(table: pd.DataFrame, size: tuple[int, int], least_presence: float = 0.5) -> Labels:
    """The label image of a droplet table: 0 is background, a droplet's label is its id + 1.

    A pixel belongs to a droplet whose circle holds its centre. Where circles overlap it goes to the droplet whose
    centre is nearer in units of its radius, and to the earlier row if they tie.

    Args:
        table: a droplet table, columns id (at least 0), x_px, y_px, radius_px and, where known, presence.
        size: height and width (H, W) of the image in px.
        least_presence: droplets that are less probable are left out.

    Returns:
        (H, W), uint16, or uint32 where a label is too large for that.
    """
    height, width = size
    kept = likely(table, least_presence)
    largest = int(kept["id"].max()) + 1 if len(kept) else 0
    if len(kept) and kept["id"].min() < 0:
        raise ValueError("the table has a negative id: labels are id + 1, so ids start at 0.")
    labels = np.zeros((height, width), dtype=np.uint16 if largest <= np.iinfo(np.uint16).max else np.uint32)
    nearest = np.ones((height, width))  # squared distance over squared radius, 1 on a circle
    for number, x, y, radius in kept[["id", "x_px", "y_px", "radius_px"]].itertuples(index=False):
        left, right = max(0, int(np.ceil(x - radius))), min(width, int(np.floor(x + radius)) + 1)
        top, bottom = max(0, int(np.ceil(y - radius))), min(height, int(np.floor(y + radius)) + 1)
        if left >= right or top >= bottom or radius <= 0:
            continue
        rows, columns = np.ogrid[top:bottom, left:right]
        distance = ((columns - x) ** 2 + (rows - y) ** 2) / radius**2
        window = (slice(top, bottom), slice(left, right))
        nearer = (distance < nearest[window]) | ((distance <= 1) & (labels[window] == 0))
        nearest[window][nearer] = distance[nearer]
        labels[window][nearer] = int(number) + 1
    return labels


def write_labels(labels: Labels, path: str | os.PathLike[str], pixel_size_um: float | None = None) -> None:
    """Write a label image (H, W) as a TIFF, with the size of a pixel where it is known.

    16-bit labels go into ImageJ's own kind of TIFF, which has no 32-bit whole numbers: those go into a plain one.
    """
    import tifffile

    imagej = labels.dtype == np.uint16
    # Pixels a micrometre for ImageJ, which has a unit of its own; a centimetre for others.
    per_unit = None if pixel_size_um is None else (1.0 if imagej else 1e4) / pixel_size_um
    metadata = {"axes": "YX"} | ({"unit": "um"} if pixel_size_um is not None else {})
    write_whole(
        path,
        lambda temporary: tifffile.imwrite(
            temporary,
            labels,
            imagej=imagej,
            compression="zlib",
            resolution=None if per_unit is None else (per_unit, per_unit),
            resolutionunit=None if per_unit is None else ("NONE" if imagej else "CENTIMETER"),
            metadata=metadata,
        ),
    )
