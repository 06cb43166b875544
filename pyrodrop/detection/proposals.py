"""Circles that the network proposes, in px of the image, from what its cells say."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.detection.network.calibration import Calibration
from pyrodrop.detection.network.canonical import View
from pyrodrop.detection.network.peaks import Cells, joined, peaks


@dataclass(frozen=True)
class Proposals:
    """Circles that a network proposes, the likeliest first: float64 tensors on the CPU, lengths in px.

    circles: (n, 3), x, y, r. r is the geometric mean of an ellipse's half axes.
    sd: (n, 3), their standard deviations.
    presence: (n,), the probability that there is such a droplet.
    axis_ratio, angle: (n,), minor over major axis, and the direction of the major one from x towards y, in [0, pi).
    brighter: (n,), the probability that the droplet is brighter than what surrounds it.
    """

    circles: Tensor
    sd: Tensor
    presence: Tensor
    axis_ratio: Tensor
    angle: Tensor
    brighter: Tensor

    def __len__(self) -> int:
        return len(self.presence)

    def take(self, which: Tensor) -> "Proposals":
        """The proposals of these numbers, or where this is true."""
        return Proposals(*(getattr(self, name)[which] for name in self.__dataclass_fields__))


def proposals_of(
    cells: list[Cells],
    calibration: Calibration,
    view: View,
    shape: tuple[int, int],
    least_presence: float,
) -> Proposals:
    """What all windows and scales say of an image of this shape (H, W) that was seen in a view, each circle once.

    Circles outside of the image and those less likely than ``least_presence`` are left out.
    """
    seen = peaks(joined(cells))
    presence = calibration(seen.presence)
    x, y = view.point_back(seen.x, seen.y, shape)
    column, row = pixel_of(x, y)
    kept = (presence >= least_presence) & (row >= 0) & (row < shape[0]) & (column >= 0) & (column < shape[1])
    radius = np.exp(seen.log_radius)
    angle = np.arctan2(seen.ellipse_sin, seen.ellipse_cos) / 2
    brighter = seen.brightness if view.sign > 0 else 1 - seen.brightness
    sd = [seen.centre_sd, seen.centre_sd, radius * seen.log_radius_sd]
    columns = [
        np.stack([x, y, radius], 1),
        np.stack(sd, 1),
        presence,
        np.exp(-np.hypot(seen.ellipse_cos, seen.ellipse_sin)),
        view.angle_back(angle),
        brighter,
    ]
    return Proposals(*(torch.from_numpy(np.ascontiguousarray(values[kept])) for values in columns))


def pixel_of(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Column and row of the pixel that each point lies in."""
    return np.floor(x + 0.5).astype(np.int64), np.floor(y + 0.5).astype(np.int64)
