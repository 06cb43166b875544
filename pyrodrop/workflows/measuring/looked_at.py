"""What of an image is looked at: a mask of the caller's, and no pixel that is NaN or masked in the image itself.

What is not looked at is missing data. The network is shown it filled, so that it sees no edge there
(``images.gap_fill``); the joint fit gives it no weight (``joint.gaps``); and no droplet whose centre lies in it counts.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.images import ImageError, Micrograph
from pyrodrop.images.gap_fill import filled_smoothly
from pyrodrop.rendering.pixel_noise import pixel_noise
from pyrodrop.workflows.measuring.contents import MeasuredImage
from pyrodrop.workflows.settings import SettingError

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# As many pixels as the smallest image has that can be measured.
LEAST_PIXELS = 64


class Sight(NamedTuple):
    """An image, (C, H, W), as who looks at it is to see it.

    known: NaN where it is not looked at. whole: filled there, so that nothing is to be seen.
    """

    known: Array
    whole: Array


def without_missing(image: Any) -> tuple[Any, Mask | None]:
    """An image as it was given, with zeros where it is NaN or masked, and where that is not so, (H, W); None for all.

    A pixel that is missing in one channel is taken to be missing in all.
    """
    if isinstance(image, Micrograph):
        return image, None
    if isinstance(image, Tensor):
        missing = image.detach().isnan()
        image = torch.where(missing, torch.zeros_like(image), image) if missing.any() else image
        gone = missing.cpu().numpy()
    elif isinstance(image, np.ndarray) and image.dtype.kind in "fiub":
        values = np.ma.getdata(image)
        gone = np.isnan(values) | np.ma.getmaskarray(image) if values.dtype.kind == "f" else np.ma.getmaskarray(image)
        image = np.where(gone, np.zeros_like(values), values) if gone.any() else values
    else:
        return image, None
    if not gone.any():
        return image, None
    return image, np.asarray(~(gone.any(0) if gone.ndim == 3 else gone))


def checked_mask(mask: Any, size: tuple[int, int], known: Mask | None) -> Mask | None:
    """Which pixels are looked at, (H, W); None for all.

    Args:
        mask: what the caller wants to be looked at, true there, (H, W); None for all.
        size: height and width of the image.
        known: where the image has numbers, (H, W); None for everywhere.

    Raises:
        ImageError: the image has next to no numbers.
        SettingError: a mask of another shape, of something else than truth values and whole numbers, or one that leaves
            next to nothing.
    """
    looked_at = np.ones(size, bool) if known is None else known
    if (there := int(looked_at.sum())) < LEAST_PIXELS and known is not None:
        raise ImageError(
            f"the image has NaN or masked pixels nearly everywhere: {there} of {looked_at.size} are left, and "
            f"measuring needs at least {LEAST_PIXELS}."
        )
    if mask is not None:
        given = np.asarray(mask.detach().cpu() if isinstance(mask, Tensor) else mask)
        if given.shape != size:
            raise SettingError(
                f"mask has shape {given.shape}, expected that of the image, {size}: true where the image is to be "
                "looked at",
                "mask",
            )
        if given.dtype.kind not in "biu":
            raise SettingError(
                f"mask holds {given.dtype}, expected truth values: true where the image is to be looked at", "mask"
            )
        looked_at = looked_at & (given != 0)
    left = int(looked_at.sum())
    if left < LEAST_PIXELS:
        raise SettingError(
            f"mask leaves {left} of {looked_at.size} pixels to be looked at, expected at least {LEAST_PIXELS}: a mask "
            "is true where the image is to be looked at",
            "mask",
        )
    return None if looked_at.all() else looked_at


def sight_of(image: MeasuredImage) -> Sight:
    """The image as the joint fit and as the network are to see it."""
    pixels = image.channels.double().numpy()
    if image.looked_at is None:
        return Sight(pixels, pixels)
    looked_at = image.looked_at.numpy()
    known = np.where(looked_at, pixels, np.nan)
    return Sight(known, filled_smoothly(known, looked_at, pixel_noise(known)))
