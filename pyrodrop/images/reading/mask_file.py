"""A file that says where an image is to be looked at: an image of its size, or regions drawn in ImageJ."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pyrodrop.images.errors import ImageError
from pyrodrop.images.reading.image_file import read_image_file

Mask = NDArray[np.bool_]

REGIONS = (".roi", ".zip")
_BLURRED = (".jpg", ".jpeg", ".jpe")


def read_mask(path: Path, size: tuple[int, int]) -> Mask:
    """Where a file says that an image is to be looked at, (H, W).

    Args:
        path: an image file, which says so wherever it is not zero in any channel; or regions that ImageJ has written,
            ``.roi``, or ``.zip`` for several, which say so within any of them.
        size: height and width that an image of regions is to have; a file of an image has its own.

    Raises:
        ImageError: the file cannot be read, is a JPEG, or holds regions that enclose nothing, as lines and points.
    """
    if path.suffix.lower() in REGIONS:
        return _of_regions(path, size)
    if path.suffix.lower() in _BLURRED:
        raise ImageError(
            f"{path} is a JPEG, in which black is seldom 0, and a mask is looked at wherever it is not: save it as PNG."
        )
    stored = read_image_file(path, None, want_pixel_size=False).values
    return np.asarray((stored != 0).any(-1) if stored.ndim == 3 else stored != 0)


def _of_regions(path: Path, size: tuple[int, int]) -> Mask:
    """The pixels whose centres lie within any of the regions of a file."""
    from roifile import roiread

    try:
        read = roiread(path)
    except Exception as error:  # roifile has no errors of its own, and a file may hold anything
        raise ImageError(
            f"{path} cannot be read as regions of ImageJ ({error}): save them in its ROI Manager."
        ) from None
    inside = np.zeros(size, bool)
    for region in read if isinstance(read, list) else [read]:
        inside |= _inside(region, path, size)
    return inside


def _inside(region: "object", path: Path, size: tuple[int, int]) -> Mask:
    from roifile import ROI_TYPE, ImagejRoi
    from skimage.draw import polygon2mask

    assert isinstance(region, ImagejRoi)
    # In ImageJ the corner of the first pixel is the origin.
    rows, columns = (np.arange(side) + 0.5 for side in size)
    left, top, right, bottom = (float(side) for side in (region.left, region.top, region.right, region.bottom))
    if region.subpixelresolution and region.widthd > 0:
        left, top, right, bottom = region.xd, region.yd, region.xd + region.widthd, region.yd + region.heightd
    if region.composite or region.roitype not in (
        *(ROI_TYPE.RECT, ROI_TYPE.OVAL, ROI_TYPE.POLYGON, ROI_TYPE.FREEHAND, ROI_TYPE.TRACED),
    ):
        kind = "composite" if region.composite else region.roitype.name.lower()
        raise ImageError(
            f"{path} holds a region of the kind {kind}, expected rectangles, ovals and polygons: fill it in ImageJ and "
            "save the mask as an image."
        )
    if region.roitype == ROI_TYPE.RECT:
        return ((rows > top) & (rows < bottom))[:, None] & ((columns > left) & (columns < right))
    if region.roitype == ROI_TYPE.OVAL:
        down, across = (2 * rows - top - bottom) / (bottom - top), (2 * columns - left - right) / (right - left)
        return np.asarray(down[:, None] ** 2 + across**2 <= 1)
    return np.asarray(polygon2mask(size, np.asarray(region.coordinates())[:, ::-1] - 0.5))
