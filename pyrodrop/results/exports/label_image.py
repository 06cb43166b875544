"""Droplets as a label image: every pixel holds the number of the droplet that it belongs to."""

import os
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import UInt16, UInt32
from numpy.typing import NDArray

from pyrodrop.results.exports.rois import likely
from pyrodrop.results.storage.atomic_write import atomic_write

Labels = UInt16[NDArray[np.uint16], "h w"] | UInt32[NDArray[np.uint32], "h w"]

# Rows of a label image that are held at once while it is written.
_BAND = 256


def label_mask(table: pd.DataFrame, size: tuple[int, int], least_presence: float = 0.0) -> Labels:
    """The label image of a droplet table: 0 is background, a droplet's label is its id + 1.

    A pixel belongs to a droplet whose circle holds its centre. Where circles overlap it goes to the droplet whose
    centre is nearer in units of its radius, and to the earlier row if they tie.

    Args:
        table: a droplet table, columns id (at least 0), x_px, y_px, radius_px and, where known, presence.
        size: height and width (H, W) of the image in px.
        least_presence: droplets that are less probable are left out.

    Returns:
        (H, W), uint16, or uint32 where a label is too large for that.

    Raises:
        ValueError: an id is negative.
    """
    (labels,) = label_bands(table, size, least_presence, rows=max(size[0], 1))
    return labels


def label_bands(
    table: pd.DataFrame, size: tuple[int, int], least_presence: float = 0.0, rows: int = _BAND
) -> Iterator[Labels]:
    """The label image of ``label_mask`` from top to bottom, so many rows at a time: memory is that of one band."""
    droplets = likely(table, least_presence)
    if len(droplets) and droplets["id"].min() < 0:
        raise ValueError("the table has a negative id: labels are id + 1, so ids start at 0.")
    number, x, y, radius = (droplets[name].to_numpy(np.float64) for name in ("id", "x_px", "y_px", "radius_px"))
    kind = label_type(table, least_presence)
    for top in range(0, size[0], rows):
        bottom = min(top + rows, size[0])
        here = (y + radius >= top) & (y - radius <= bottom - 1) & (radius > 0)
        circles = np.stack([number, x, y - top, radius], 1)[here]
        yield _labels(circles, np.zeros((bottom - top, size[1]), dtype=kind))


def label_type(table: pd.DataFrame, least_presence: float = 0.0) -> np.dtype[Any]:
    """The smaller of uint16 and uint32 that holds every label."""
    droplets = likely(table, least_presence)
    large = len(droplets) and droplets["id"].max() >= np.iinfo(np.uint16).max
    return np.dtype(np.uint32 if large else np.uint16)


def _labels(circles: NDArray[np.float64], labels: Labels) -> Labels:
    """Put circles (n, 4) of id, x, y and radius into an empty label image, which is returned."""
    height, width = labels.shape
    nearest = np.ones((height, width))  # squared distance over squared radius, 1 on a circle
    for number, x, y, radius in circles:
        left, right = max(0, int(np.ceil(x - radius))), min(width, int(np.floor(x + radius)) + 1)
        top, bottom = max(0, int(np.ceil(y - radius))), min(height, int(np.floor(y + radius)) + 1)
        if left >= right or top >= bottom:
            continue
        rows, columns = np.ogrid[top:bottom, left:right]
        distance = ((columns - x) ** 2 + (rows - y) ** 2) / radius**2
        window = (slice(top, bottom), slice(left, right))
        nearer = (distance < nearest[window]) | ((distance <= 1) & (labels[window] == 0))
        nearest[window][nearer] = distance[nearer]
        labels[window][nearer] = int(number) + 1
    return labels


def write_labels(
    table: pd.DataFrame,
    size: tuple[int, int],
    path: str | os.PathLike[str],
    pixel_size_um: float | None = None,
    least_presence: float = 0.0,
) -> None:
    """Write the label image of a droplet table as a TIFF, with the size of a pixel where it is known.

    It is made and written band by band, so that it may be larger than memory. 16-bit labels go into ImageJ's own kind
    of TIFF, which has no 32-bit whole numbers: those go into a plain one.

    Args:
        table, size, least_presence: as for ``label_mask``.
        path: the file; it appears whole or not at all.
        pixel_size_um: side of a pixel in micrometres.
    """
    import tifffile

    kind = label_type(table, least_presence).newbyteorder("<")
    imagej = kind.itemsize == 2
    # Pixels a micrometre for ImageJ, which has a unit of its own; a centimetre for others.
    per_unit = None if pixel_size_um is None else (1.0 if imagej else 1e4) / pixel_size_um
    metadata = {"axes": "YX"} | ({"unit": "um"} if pixel_size_um is not None else {})

    def write(temporary: os.PathLike[str]) -> None:
        tifffile.imwrite(
            temporary,
            (zlib.compress(band.astype(kind).tobytes()) for band in label_bands(table, size, least_presence)),
            shape=size,
            dtype=kind,
            rowsperstrip=min(_BAND, size[0]),
            photometric="minisblack",
            byteorder="<",
            imagej=imagej,
            compression="zlib",
            resolution=None if per_unit is None else (per_unit, per_unit),
            resolutionunit=None if per_unit is None else ("NONE" if imagej else "CENTIMETER"),
            metadata=metadata,
        )

    atomic_write(path, write)
