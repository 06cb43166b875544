"""What the network sees of an image: four channels that do not change with the scale or offset of its brightness.

With u = (image - median) / spread, n = noise / spread, and m and v the mean of u and of (u - m)^2 in a box of 33 px:
1. asinh(3 u): the image as a whole,
2. asinh((u - m) / 2 n) / 2: what stands out of the noise,
3. (u - m) / sqrt(v + n^2): what stands out of its surroundings, which makes faint droplets beside bright ones visible,
4. 1 inside the image (and the mask), 0 outside, where the other channels are 0, too.
The first three change sign with the image.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

N_CHANNELS = 4
BOX = 33  # px, the side of the surroundings: 2^5 + 1, see `_box_sum`
_AT_ONCE = 2**16  # px of which differences are taken together: what is next to the processor holds them
LEAST_NOISE = 1 / 500  # of the spread: an image without noise is seen as if it had this much


class ImageStatistics(NamedTuple):
    """What is taken from the whole image, also when only a tile of it is looked at."""

    median: float
    spread: float
    noise: float

    def in_view(self, sign: int) -> "ImageStatistics":
        """Those of the image times 1 or -1."""
        return self._replace(median=sign * self.median)


def image_statistics(pixels: NDArray[np.float32]) -> ImageStatistics:
    """Median, spread and noise of the finite pixels of an image (H, W).

    The spread is from the 1st to the 99th percentile, and a fiftieth of the full range, so that a lone droplet in an
    image without noise has one. The noise is the standard deviation of white noise with the same median absolute
    second difference, along rows and columns.
    """
    known = np.isfinite(pixels)
    finite = pixels[known]
    if finite.size == 0:
        return ImageStatistics(0.0, 0.0, 0.0)
    ends = float(finite.min()), float(finite.max())
    middle = _quantiles(_second_differences(pixels, bool(known.all())), [0.5])[0]
    return statistics_of(_quantiles(finite, [0.01, 0.5, 0.99]), ends, float(middle))


def _second_differences(pixels: NDArray[np.float32], all_known: bool) -> NDArray[np.float32]:
    """Sizes of second differences along rows and columns, where they are known; 0 if there are none."""
    (height, width), parts = pixels.shape, [np.zeros(0, np.float32)]
    step = max(_AT_ONCE // width, 1)
    for top in range(0, height, step):
        some = pixels[top : top + step + 2].astype(np.float64)
        for differences in (np.diff(some, 2, axis=0), np.diff(some[:step], 2, axis=1)):
            sizes = np.abs(differences, out=differences).astype(np.float32).ravel()
            parts.append(sizes if all_known else sizes[np.isfinite(sizes)])
    sizes = np.concatenate(parts)
    return sizes if sizes.size else np.zeros(1, np.float32)


def _quantiles(values: NDArray[np.float32], levels: list[float]) -> NDArray[np.float64]:
    """Quantiles of numbers that may be put into another order, straight lines between them."""
    place = np.array(levels) * (len(values) - 1)
    below = np.floor(place).astype(np.intp)
    above = np.minimum(below + 1, len(values) - 1)
    values.partition(np.unique([below, above]))
    low, high = values[below].astype(np.float64), values[above].astype(np.float64)
    return low + (place - below) * (high - low)


def statistics_of(
    quantiles: NDArray[np.float64], ends: tuple[float, float], median_difference: float
) -> ImageStatistics:
    """The statistics from the 1st, 50th and 99th percentile, the least and greatest value, and the median size of
    second differences.
    """
    low, median, high = quantiles
    spread = (high - low) + (ends[1] - ends[0]) / 50
    return ImageStatistics(float(median), float(spread), median_difference / 0.6745 / 6**0.5)


def _box_sum(values: Tensor) -> Tensor:
    """Sums along the last axis over the BOX values around each, of which those outside are 0."""
    sums = functional.pad(values, (BOX // 2, BOX // 2))
    ends = sums
    for k in range(5):  # sums of 1, 2, 4 ... 32 values
        sums = sums[..., : -(2**k)] + sums[..., 2**k :]
    return sums[..., :-1] + ends[..., BOX - 1 :]


def _in_box(values: Tensor) -> Tensor:
    """Sums of (B, H, W) over a box around each pixel."""
    return _box_sum(_box_sum(values).transpose(-1, -2)).transpose(-1, -2)


def input_channels(images: Tensor, median: Tensor, spread: Tensor, noise: Tensor, inside: Tensor) -> Tensor:
    """The channels (B, 4, H, W) of images (B, H, W).

    median, spread, noise: (B,), see `image_statistics`; a spread of 0 gives channels of 0.
    inside: (B, H, W), 1 where the image is known and 0 elsewhere.
    """
    scale = torch.where(spread > 0, 1 / spread.clamp(min=1e-30), torch.zeros_like(spread))[:, None, None]
    u = torch.where(inside > 0, (images - median[:, None, None]) * scale, torch.zeros_like(images))
    n = (noise[:, None, None] * scale).clamp(min=LEAST_NOISE)
    number = _in_box(inside).clamp(min=0.5)
    contrast = (u - _in_box(u) / number) * inside
    variance = _in_box(contrast.square()) / number
    return torch.stack(
        [
            torch.asinh(3 * u),
            torch.asinh(contrast / (2 * n)) / 2,
            contrast / torch.sqrt(variance + n.square()),
            inside,
        ],
        1,
    )
