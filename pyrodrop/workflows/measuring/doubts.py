"""What to be wary of in a measurement: pixels, how droplets meet, and whether the model would draw such an image."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.images.hot_pixels import warnings_of_hot_pixels
from pyrodrop.models.assumed.noise_families import NORMAL
from pyrodrop.recognition.learnt import shared_sd
from pyrodrop.rendering import profile_named
from pyrodrop.rendering.block_noise import block_noise
from pyrodrop.rendering.pixel_noise import pixel_noise, quantisation_noise
from pyrodrop.results.checks.meetings import Meetings, meetings_of
from pyrodrop.results.checks.other_channels import INTERVAL, OtherChannels, other_channels_of
from pyrodrop.results.statistics.counts import Count, count_distribution
from pyrodrop.workflows.measuring.contents import FittedModel, MeasuredImage

if TYPE_CHECKING:
    import pandas as pd

    from pyrodrop.joint.one_by_one.predictive_check import PredictiveCheck

Array = NDArray[np.float64]


def usual_noise(fitted: FittedModel, channels: Tensor) -> Tensor:
    """Standard deviation of a usual pixel's noise, (C,): the site ``noise`` where the noise is normal."""
    family, scale = fitted.scales.family, fitted.sites["noise"]
    if family == NORMAL:
        return scale
    light = (channels - fitted.residual).double().numpy()
    return torch.tensor([family.typical(light, float(scale[0]))], dtype=scale.dtype)


def residual_in_noise(fitted: FittedModel, channels: Tensor, looked_at: Tensor | None) -> Tensor:
    """What the model leaves of the channels over each pixel's noise, (C, H, W); 0 where nothing was looked at."""
    family, scale = fitted.scales.family, fitted.sites["noise"]
    residual = fitted.residual / scale.float()[:, None, None]
    if family != NORMAL:  # of one channel
        residual = family.whitened(fitted.residual, channels - fitted.residual, float(scale[0]))
    return residual if looked_at is None else residual * looked_at


def check_of(fitted: FittedModel, channels: Tensor, looked_at: NDArray[np.bool_] | None) -> "PredictiveCheck":
    """How likely the fitted model is to leave as much of an image as it has left of this one."""
    # Late: with it come SciPy and Numba, which a saved measurement is read without.
    from pyrodrop.joint.one_by_one.predictive_check import FittedDroplets, predictive_check

    profile, sites = profile_named(fitted.profile), {name: value.numpy() for name, value in fitted.sites.items()}
    shape = np.concatenate([np.zeros(0), *(sites[parameter.name].reshape(-1) for parameter in profile.parameters)])
    droplets = FittedDroplets(profile, sites["x"], sites["y"], sites["r"], shape, sites["amplitude"])
    noise = sites["noise"]
    residual = fitted.residual.double().numpy()
    if fitted.scales.family != NORMAL:
        residual = residual_in_noise(fitted, channels, None).double().numpy()
        # In units of its own: noise that is not quite of its family is no doubt about the droplets.
        noise = np.array([residual.std() if looked_at is None else residual[:, looked_at].std()])
    return predictive_check(droplets, residual, noise, sites["bg"][0].size, looked_at)


def meetings_in(fitted: FittedModel, residual_map: Array, table: "pd.DataFrame") -> Meetings:
    """How the droplets of a table meet: whether the image is the sum of both there, and which lie within others."""
    from pyrodrop.joint.posterior import noise_correlation  # late: with it comes SciPy

    x, y, radius = table[["x_px", "y_px", "radius_px"]].to_numpy(float).T
    return meetings_of(residual_map, x, y, radius, noise_correlation(fitted.residual.double().numpy()))


class PixelDoubts(NamedTuple):
    """What to be wary of in the pixels: whether they show the blocks of a JPEG, and in words all that there is."""

    in_blocks: bool
    warnings: tuple[str, ...]


def doubts_of_pixels(image: MeasuredImage) -> PixelDoubts:
    """What hot pixels, blocks and coarse levels do to a measurement."""
    in_blocks = compressed_in_blocks(image.channels)
    hot = warnings_of_hot_pixels(len(image.hot_pixels))
    return PixelDoubts(in_blocks, hot + warnings_of_pixels(image.channels, in_blocks))


def doubts_of_channels(image: MeasuredImage, fitted: FittedModel, count: Count) -> OtherChannels:
    """What the network counts in the other channels of the file, where it was asked, and whether that says otherwise.

    Args:
        image, fitted: what was measured, and the model of it.
        count: of its droplets.
    """
    proposed = np.zeros(0) if fitted.found is None else fitted.found.proposed.numpy()
    here = count_distribution(proposed, shared_sd()) if image.others else count
    return other_channels_of(
        {name: numbers.tolist() for name, numbers in image.others.items()},
        *([each.quantile(level) for level in INTERVAL] for each in (here, count)),
    )


def compressed_in_blocks(channels: Float[Tensor, "c h w"]) -> bool:
    """Whether the image shows the blocks of a JPEG."""
    return bool(block_noise(channels.double().numpy()).any())


def warnings_of_pixels(channels: Float[Tensor, "c h w"], in_blocks: bool) -> tuple[str, ...]:
    """In words, what blocks and coarse levels do to intervals; empty where there is neither.

    Noise of half a level and more makes the errors that rounding makes in neighbours independent, and the model counts
    them as noise. Below that, pixels of nearly the same value are rounded the same way, all of a droplet together.
    """
    made = []
    if in_blocks:
        made.append(
            "the image was compressed in blocks, as JPEG does, which changes edges and heights of all droplets alike: "
            "radii and amplitudes are off by more than their intervals say; save images without loss, as PNG or TIFF"
        )
    pixels = channels.double().numpy()
    steps = np.sqrt(12) * quantisation_noise(pixels)
    coarse = pixel_noise(pixels) < steps / 2
    if coarse.any():
        made.append(
            f"the noise is less than half of a gray level ({float(steps[coarse].max()):.3g}): pixels of a droplet are "
            "rounded alike, and amplitudes are off by more than their intervals say, by up to a tenth of a level; save "
            "images with more bits"
        )
    return tuple(made)
