"""How many droplets, how large, how sure: from an image and nothing else."""

import os
import time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.images import ImageError, Micrograph, as_channel
from pyrodrop.images.hot_pixels import hot_pixels, without_hot_pixels
from pyrodrop.recognition.recognise import recognise
from pyrodrop.rendering.pixel_noise import pixel_noise
from pyrodrop.workflows.measuring.assembly import measurement_of
from pyrodrop.workflows.measuring.contents import MeasuredImage
from pyrodrop.workflows.measuring.measurement import Measurement
from pyrodrop.workflows.measuring.weights_file import weights_file
from pyrodrop.workflows.settings import pick_device, positive, profiles_to_try, whole

Array = NDArray[np.float64]

_LEAST_SIDE = 8
_MOST_CHANNELS = 16


def measure(
    image: object,
    *,
    profile: str = "auto",
    pixel_size_um: float | None = None,
    device: str = "auto",
    seed: int = 0,
    weights: str | os.PathLike[str] | None = None,
) -> Measurement:
    """Find the droplets of an image, and measure how large they are and how sure all of it is.

    No threshold, no radius and no polarity are asked for. A small network that has seen simulations only proposes
    circles (``detection.propose``); all of them are then fitted jointly with a smooth background, the noise and the
    shape of their profile (``joint.joint_fit``), whose Laplace posterior gives the intervals. A droplet's presence is
    the posterior of what the network and the fit's evidence say (``recognition.presence``). Centre and radius are
    the mean of the network's and the fit's by their precisions; where the profile misplaces a rim, the network's
    alone, with its wider intervals (``recognition.agreement``). Hot and dead pixels, sharper than any optics, are
    filled from those beside them first; how many is in ``warnings``.

    Args:
        image: a channel, an array or tensor of shape (H, W) as for ``fit``; several of them, (C, H, W), which then
            share centres and radii while each has its own amplitude; or a ``Micrograph``, which is measured in all
            its channels and brings its pixel size.
        profile: how the height of a droplet falls from its centre: "gaussian", "disc" or "radial", another that is
            registered (``pyrodrop.rendering.profiles``), or "auto" for that of these three with the greatest
            evidence.
        pixel_size_um: side of a pixel in micrometres, positive; the micrograph's where not given. With it, sizes are
            in micrometres.
        device: where the network looks at the image, "auto", "cpu" or "cuda"; auto takes a GPU where there is one. The
            joint fit runs on the CPU.
        seed: of the posterior draws, not negative.
        weights: a file that ``pyrodrop learn`` wrote, of a network that has learnt from a laboratory's own images; None
            for the network that ships.

    Returns:
        A ``Measurement``: ``table`` has a row for each droplet, ``count`` how many there are, ``sizes`` how large
        they are, each with a 90 % interval, and ``warnings`` what to be wary of.

    Raises:
        ImageError: if the image is not a finite image of at least 8 x 8 px and 1 to 16 channels.
        SettingError: if a setting is out of its range.

    Example:
        >>> import pyrodrop
        >>> image, truth = pyrodrop.simulate(8, (80, 100), seed=3, kind="gray", profile="disc", radius_px=(4, 8))
        >>> m = pyrodrop.measure(image, profile="disc")
        >>> m.count.quantile(0.5), list(m.sizes.statistics)[:3], m.sizes.unit
        (8, ['dn10', 'dn50', 'dn90'], 'px')
    """
    started = time.perf_counter()
    profiles = profiles_to_try(profile)
    seed = whole("seed", seed)
    where = pick_device(device)
    network = weights_file(weights)
    names, channels = channels_of(image)
    if pixel_size_um is None and isinstance(image, Micrograph):
        pixel_size_um = image.pixel_size_um
    if pixel_size_um is not None:
        pixel_size_um = positive("pixel_size_um", pixel_size_um)

    image_measured = measured_image(channels, names, pixel_size_um)
    pixels = image_measured.channels.double().numpy()
    seen = recognise(pixels, in_one(pixels), profiles, weights=network, device=where)
    return measurement_of(image_measured, seen, seed, started)


def measured_image(channels: Tensor, names: tuple[str, ...], pixel_size_um: float | None) -> MeasuredImage:
    """What is measured of channels, (C, H, W): hot pixels, which no droplet explains, would be taken for noise."""
    pixels = channels.double().numpy()
    hot = hot_pixels(pixels, pixel_noise(pixels))
    if hot.any():
        channels = torch.from_numpy(without_hot_pixels(pixels, hot)).to(channels.dtype)
    return MeasuredImage(channels, names, pixel_size_um, torch.from_numpy(np.argwhere(hot)))


def channels_of(image: Any) -> tuple[tuple[str, ...], Tensor]:
    """Names and pixels (C, H, W) of what is to be measured; channels that are copies of another are left out."""
    if isinstance(image, Micrograph):
        stacked, names = image.pixels.movedim(-1, 0), _names(image)
    else:
        several = getattr(image, "ndim", 2) == 3
        if several and not 1 <= len(image) <= _MOST_CHANNELS:
            raise ImageError(
                f"the image has shape {tuple(image.shape)}, expected (height, width) or (channels, height, width) "
                f"with at most {_MOST_CHANNELS} channels: choose one, or move the channels to the front."
            )
        planes = [as_channel(plane) for plane in (image if several else [image])]
        stacked, names = torch.stack(planes).cpu(), tuple(str(number) for number in range(len(planes)))
    if min(stacked.shape[1:]) < _LEAST_SIDE:
        raise ImageError(
            f"the image has {stacked.shape[2]} x {stacked.shape[1]} pixels: measuring needs at least 8 on each side."
        )
    kept: list[int] = []
    for c in range(len(stacked)):
        if not any(torch.equal(stacked[c], stacked[k]) for k in kept):
            kept.append(c)
    return tuple(names[c] for c in kept), stacked[kept].contiguous()


def in_one(channels: Array) -> Array:
    """The channel in which droplets stand out most, (H, W): the sum of all, weighted by their first principal
    component, each in units of its own spread; of a single channel, that channel.
    """
    if len(channels) == 1:
        return channels[0]
    flat = channels.reshape(len(channels), -1)
    flat = (flat - flat.mean(1, keepdims=True)) / np.maximum(flat.std(1, keepdims=True), 1e-12)
    _, vectors = np.linalg.eigh(np.cov(flat))
    weights = vectors[:, -1] * np.sign(vectors[:, -1].sum() or 1.0)
    one = np.tensordot(weights, flat, 1).reshape(channels.shape[1:])
    return np.asarray((one - one.min()) / max(float(np.ptp(one)), 1e-12))


def _names(image: Micrograph) -> tuple[str, ...]:
    own = getattr(image, "channel_names", ())
    return own or (("gray",) if image.pixels.shape[-1] == 1 else ("red", "green", "blue"))
