"""An image as the joint fit sees it: where its pixels are, which of them are known, and what they say by themselves.

Pixels that are not known, NaN in the channels, say nothing for or against droplets. With weights w of the pixels, 1
where they are known and 0 elsewhere, the log density of the image is -sum w (y - m)^2 / 2 sigma^2 - sum w log sigma.
All sums of the joint fit are of products of the residual and of the derivatives of the image, so that zeros of both in
the unknown pixels are these weights, but for the background's products with itself, which are summed anew, and for the
number of pixels. So a droplet that is half unknown has the posterior of the half that is seen.

Where the noise is not the same in all pixels, or has tails, the weights are what each pixel counts for (``weights``).
Residual and derivatives are then those times the roots of the weights, and the background is summed with these, too.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from pyrodrop.joint.resuming.kept import Kept, digest_of
from pyrodrop.joint.sums.choice import engine_of
from pyrodrop.joint.sums.engine import Array, Engine, Image
from pyrodrop.rendering.block_noise import block_noise
from pyrodrop.rendering.pixel_noise import pixel_noise, quantisation_noise


class PixelWeights(NamedTuple):
    """What the pixels of an image of one channel count for, by the noise that each has (``weights``).

    root: roots of the weights, (H, W), positive. unit: standard deviation of the noise as the joint fit has it, in
    units of the scale of the model's family. scale: of the family, where that is not the fit's noise over ``unit``.
    """

    root: Array
    unit: float
    scale: float | None

    def part(self, rows: slice, columns: slice) -> "PixelWeights":
        """Those of some rows and columns."""
        return self._replace(root=np.ascontiguousarray(self.root[rows, columns]))


@dataclass(frozen=True, eq=False)
class Pixels:
    """An image, to be fitted as often as needed: what hangs on its pixels alone is found once.

    Attributes:
        channels: shape (C, H, W), float64; NaN, in all channels, where it is not known.
        engine: where its pixels are summed over.
        kept: what was worked out of them before, and is not worked out again; None for nothing.
        weights: what each pixel counts for, and what that makes of the noise; None for all alike.
    """

    channels: Array
    engine: Engine
    kept: Kept | None = field(default=None, kw_only=True)
    weights: PixelWeights | None = field(default=None, kw_only=True)

    @classmethod
    def of(
        cls, channels: "ArrayLike | Pixels", device: str | torch.device = "cpu", kept: Kept | None = None
    ) -> "Pixels":
        """Of an image (C, H, W) or (H, W) in which NaN is not known, on a device; of pixels, themselves.

        Raises:
            ValueError: the image is of another shape, infinite somewhere, or nothing but NaN.
        """
        if isinstance(channels, Pixels):
            return channels
        image = np.ascontiguousarray(np.asarray(channels, dtype=np.float64))
        image = image[None] if image.ndim == 2 else image
        if image.ndim != 3 or min(image.shape) < 1:
            raise ValueError(f"channels have shape {image.shape}: give (C, H, W) or (H, W).")
        known = np.isfinite(image).all(0)
        if not known.all():
            if np.isinf(image).any() or np.isnan(image).all():
                raise ValueError(
                    "channels are not finite: infinite somewhere, or nothing but NaN; mask or mend them first."
                )
            image = np.where(known, image, np.nan)
        return cls(image, engine_of(device), kept=kept)

    def part(self, rows: slice, columns: slice) -> "Pixels":
        """Those of some rows and columns; where that is all, the same."""
        part = self.channels[:, rows, columns]
        if part.shape == self.channels.shape:
            return self
        weights = None if self.weights is None else self.weights.part(rows, columns)
        return Pixels(np.ascontiguousarray(part), self.engine, kept=self.kept, weights=weights)

    @cached_property
    def digest(self) -> str:
        """Of their numbers, and of where they are summed over: another engine rounds otherwise."""
        own = () if self.weights is None else (self.weights.root, self.weights.unit)
        return digest_of(type(self.engine).__name__, self.channels, *own)

    @property
    def count(self) -> int:
        """Number of channels, C."""
        return int(self.channels.shape[0])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in px."""
        return int(self.channels.shape[1]), int(self.channels.shape[2])

    @cached_property
    def known(self) -> NDArray[np.bool_]:
        """Which are known, (H, W)."""
        return np.asarray(np.isfinite(self.channels).all(0))

    @cached_property
    def known_number(self) -> int:
        """How many are known."""
        return int(self.known.sum())

    @property
    def all_known(self) -> bool:
        """Whether all are."""
        return self.known_number == self.known.size

    @cached_property
    def image(self) -> Image:
        """The channels where they are summed over, zero where they are not known."""
        return self.engine.image(self.channels if self.all_known else np.where(self.known, self.channels, 0.0))

    def light(self, residual: Image) -> Image:
        """What a model says of the image that leaves this residual over, weighed as they are, (C, H, W)."""
        if self.weights is None:
            return self.image - residual
        return self.image - residual / self.engine.image(self.weights.root)

    @cached_property
    def weight(self) -> Image | None:
        """Roots of what they count for and 0 where they are not known, (H, W), where they are summed over; None if all
        are known and count alike.
        """
        if self.weights is None:
            return self.seen
        return self.engine.image(self.weights.root * self.known)

    @cached_property
    def seen(self) -> Image | None:
        """1 where they are known and 0 elsewhere, (H, W), where they are summed over; None if all are known."""
        return None if self.all_known else self.engine.image(self.known.astype(np.float64))

    @cached_property
    def white_noise(self) -> Array:
        """Standard deviation of the white noise that the image itself shows, (C,)."""
        return pixel_noise(self.channels)

    @cached_property
    def block_noise(self) -> Array:
        """That of the noise of a JPEG's blocks, (C,)."""
        return block_noise(self.channels)

    @cached_property
    def rounding(self) -> Array:
        """That of rounding to the image's steps, (C,)."""
        return quantisation_noise(self.channels)
