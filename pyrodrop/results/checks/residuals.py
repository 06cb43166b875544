"""Does the model fit the image? The residual, in units of the noise, over the image and at each droplet."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float64
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

Array = NDArray[np.float64]

# From here on the misfit is as large as the noise itself: no reader would call that a fit.
_TOO_LARGE = 2.0
_TOO_SMALL = 0.5
# A residual of less than a thousandth of the least noise that single precision can have is what rounding leaves.
_NOTHING = 1e-6
# Neighbouring residuals that share a fifth of their variance make patches that the eye sees in the map.
_PATCHY = 0.2


class DropletResiduals(NamedTuple):
    """The residual inside each droplet's circle: sum of squares in units of noise^2, and pixels, each (N,)."""

    chi_square: Array
    pixels: Array

    @property
    def reduced(self) -> Float64[Array, " n"]:
        """Mean square in units of noise^2, about 1 where the model fits; NaN for a circle without pixels."""
        return np.divide(self.chi_square, self.pixels, out=np.full(len(self.pixels), np.nan), where=self.pixels > 0)

    @property
    def sigmas(self) -> Float64[Array, " n"]:
        """How far the sum of squares is from that of noise, in standard deviations (Wilson and Hilferty 1931)."""
        n = np.where(self.pixels > 0, self.pixels, np.nan)
        return (np.cbrt(self.chi_square / n) - (1 - 2 / (9 * n))) / np.sqrt(2 / (9 * n))


@dataclass(frozen=True)
class ImageFit:
    """How well a model fits an image.

    Attributes:
        reduced_chi_square: sum of squared residuals over noise^2 and degrees of freedom; 1 is a fit.
        degrees_of_freedom: pixels less fitted parameters.
        correlation: of residuals of neighbouring pixels; about 0 where only noise is left. It tells a misfit also
            where the noise was fitted with the droplets and has swallowed it.
        beyond_4_sigma: share of pixels whose residual is beyond four times the noise; 6e-5 for normal noise.
        warnings: in words, why the model plainly does not fit; empty where it does.
    """

    reduced_chi_square: float
    degrees_of_freedom: int
    correlation: float
    beyond_4_sigma: float
    warnings: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether nothing speaks plainly against the model."""
        return not self.warnings

    @property
    def verdict(self) -> str:
        """One sentence or a few."""
        if self.fits:
            return f"the model fits: reduced chi-square {self.reduced_chi_square:.2f}"
        return "the model does not fit: " + "; ".join(self.warnings)


def residual_map(
    channel: Float[Tensor, "h w"], prediction: Float[Tensor, "h w"], noise: float
) -> Float64[Array, "h w"]:
    """The residual, (channel - prediction) / noise, in standard deviations of the noise.

    Args:
        channel, prediction: what was seen and what the model says, both (H, W).
        noise: standard deviation of the noise of a pixel, in the channel's units, positive.

    Raises:
        ValueError: shapes that differ, or a noise that is not positive.
    """
    if channel.dim() != 2 or channel.shape != prediction.shape:
        raise ValueError(
            f"channel is {tuple(channel.shape)} and prediction {tuple(prediction.shape)}: give both (H, W)."
        )
    if not 0 < noise < np.inf:
        raise ValueError(f"noise is {noise}: give a positive number, the standard deviation of a pixel's noise.")
    residual: Array = (channel.detach().cpu().double() - prediction.detach().cpu().double()).numpy() / noise
    return residual


def image_fit(
    residual: ArrayLike, n_parameters: int, known: NDArray[np.bool_] | None = None, blocks: bool = False
) -> ImageFit:
    """Whether a residual map is that of a model that fits.

    Args:
        residual: in standard deviations of the noise, (H, W), as ``residual_map`` makes it.
        n_parameters: how many numbers were fitted: four a droplet, and those of background and noise.
        known: pixels that were looked at, (H, W); None for all.
        blocks: whether the image shows the blocks of a JPEG, whose smoothness within blocks says nothing of intervals.

    Raises:
        ValueError: not (H, W) with both at least 2, not finite, or no more pixels than parameters.
    """
    z = np.asarray(residual, dtype=np.float64)
    if z.ndim != 2 or min(z.shape) < 2 or not np.isfinite(z).all():
        raise ValueError(f"residual has shape {z.shape}: give finite numbers (H, W), at least 2 x 2.")
    counts = np.ones(z.shape, bool) if known is None else known
    freedom = int(counts.sum()) - n_parameters
    if freedom < 1:
        raise ValueError(
            f"{n_parameters} parameters for {int(counts.sum())} pixels: there must be more pixels than parameters."
        )
    reduced = float((z[counts] ** 2).sum() / freedom)
    correlation = _neighbours(z, counts)
    outliers = float((np.abs(z[counts]) > 4).mean())
    # By chance alone the correlation of a small image can be this far from 0.
    chance = 4 / np.sqrt(2 * counts.sum())
    warnings = []
    if reduced > _TOO_LARGE:
        warnings.append(
            f"the residual is {np.sqrt(reduced):.1f} times the noise (reduced chi-square {reduced:.1f}): "
            "droplets or background are not as the model says, or the noise is larger than was taken"
        )
    if reduced < _NOTHING:
        warnings.append(
            "the image is constant, or smooth to the last digit: there is no noise that a droplet could be told from"
        )
    elif reduced < _TOO_SMALL and not blocks:
        warnings.append(
            f"the residual is {np.sqrt(reduced):.2f} of the noise (reduced chi-square {reduced:.2f}): the noise "
            "is smaller than was taken, and the intervals of each droplet are too wide"
        )
    # Below the noise that was taken, residuals that go together make no interval too narrow.
    if reduced >= _TOO_SMALL and correlation > max(_PATCHY, chance):
        warnings.append(
            f"the residuals of neighbouring pixels go together (correlation {correlation:.2f}): structure that "
            "the model does not describe, or noise that is not independent from pixel to pixel; intervals may be too "
            "narrow"
        )
    return ImageFit(reduced, freedom, correlation, outliers, tuple(warnings))


def droplet_residuals(
    residual: ArrayLike, x: ArrayLike, y: ArrayLike, radius: ArrayLike, known: NDArray[np.bool_] | None = None
) -> DropletResiduals:
    """The residual inside each droplet's circle.

    Args:
        residual: in standard deviations of the noise, (H, W).
        x, y, radius: circles in px, (N,); pixel centres lie on integers. What lies outside the image is left out.
        known: pixels that were looked at, (H, W), the others are left out, too; None for all.
    """
    z = np.asarray(residual, dtype=np.float64)
    height, width = z.shape
    circles = np.stack([np.asarray(values, dtype=np.float64) for values in (x, y, radius)], -1).reshape(-1, 3)
    sums, pixels = np.zeros(len(circles)), np.zeros(len(circles))
    for k, (u, v, r) in enumerate(circles):
        left, right = max(0, int(np.ceil(u - r))), min(width, int(np.floor(u + r)) + 1)
        top, bottom = max(0, int(np.ceil(v - r))), min(height, int(np.floor(v + r)) + 1)
        if left >= right or top >= bottom:
            continue
        rows, columns = np.ogrid[top:bottom, left:right]
        inside = (columns - u) ** 2 + (rows - v) ** 2 <= r**2
        if known is not None:
            inside &= known[top:bottom, left:right]
        sums[k] = (z[top:bottom, left:right][inside] ** 2).sum()
        pixels[k] = inside.sum()
    return DropletResiduals(sums, pixels)


def _neighbours(z: Float64[Array, "h w"], counts: Bool[NDArray[np.bool_], "h w"]) -> float:
    """Correlation of each pixel with the next to the right and the next below, of those that count."""
    deviation = np.where(counts, z - z[counts].mean(), 0.0)
    variance = float((deviation[counts] ** 2).mean())
    both = counts[:, 1:] & counts[:, :-1], counts[1:] & counts[:-1]
    number = sum(int(each.sum()) for each in both)
    if variance == 0 or number == 0:
        return 0.0
    pairs = [deviation[:, 1:] * deviation[:, :-1], deviation[1:] * deviation[:-1]]
    return float(sum(p.sum() for p in pairs) / number / variance)
