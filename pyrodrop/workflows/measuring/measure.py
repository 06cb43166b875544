"""How many droplets, how large, how sure: from an image and nothing else."""

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.images import ImageError, Micrograph, as_channel, read_image
from pyrodrop.images.gap_fill import filled_smoothly
from pyrodrop.images.hot_pixels import hot_pixels, without_hot_pixels
from pyrodrop.joint.pixels import Pixels
from pyrodrop.recognition.candidates import OfWhole
from pyrodrop.recognition.reweighing import recognise_in_noise
from pyrodrop.rendering.pixel_noise import pixel_noise
from pyrodrop.workflows.assumptions import assumed_in_measure, check_channels
from pyrodrop.workflows.measuring.assembly import measurement_of
from pyrodrop.workflows.measuring.channels.other_channels import with_other_channels
from pyrodrop.workflows.measuring.contents import MeasuredImage
from pyrodrop.workflows.measuring.looked_at import checked_mask, sight_of, without_missing
from pyrodrop.workflows.measuring.measurement import Measurement
from pyrodrop.workflows.measuring.progress.kept_on_disk import KeptOnDisk
from pyrodrop.workflows.measuring.progress.measure_progress import MeasureProgress
from pyrodrop.workflows.measuring.rules import checked_rules
from pyrodrop.workflows.measuring.weights_file import weights_file
from pyrodrop.workflows.settings import pick_device, positive, profiles_to_try, whole

Array = NDArray[np.float64]

_LEAST_SIDE = 8
_MOST_CHANNELS = 16


def measure(
    image: object,
    mask: object = None,
    *,
    radius_px: Sequence[float | None] = (None, None),
    polarity: str = "both",
    border: str = "keep",
    profile: str = "auto",
    pixel_size_um: float | None = None,
    device: str = "auto",
    seed: int = 0,
    weights: str | os.PathLike[str] | None = None,
    keep: str | os.PathLike[str] | None = None,
    progress: bool = False,
    priors: Mapping[str, Any] | None = None,
    noise: object = "normal",
) -> Measurement:
    """Find the droplets of an image, and measure how large they are and how sure all of it is.

    No threshold, no radius and no polarity are asked for, though a person may say where to look and what counts. A
    small network that has seen simulations only proposes circles (``detection.propose``); all of them are then fitted
    jointly with a smooth background, the noise and the shape of their profile (``joint.joint_fit``), whose Laplace
    posterior gives the intervals. A droplet's presence is the posterior of what the network and the fit's evidence say
    (``recognition.presence``). Centre and radius are the mean of the network's and the fit's by their precisions; where
    the profile misplaces a rim, the network's alone, with its wider intervals (``recognition.agreement``). Hot and dead
    pixels, sharper than any optics, are filled from those beside them first; how many is in ``warnings``.

    Args:
        image: a channel, an array or tensor of shape (H, W) as for ``fit``; several of them, (C, H, W), which then
            share centres and radii while each has its own amplitude; a ``Micrograph``, which is measured in all its
            channels and brings its pixel size; or the name of a file, as for ``read_image``. Pixels that are NaN, or
            masked in a ``numpy.ma`` array, are missing: in one channel, and so in all.
        mask: truth values (H, W), true where the image is to be looked at; None for everywhere. What is not looked at
            is missing data: it speaks neither for nor against droplets, and none whose centre lies in it counts.
        radius_px: least and greatest radius in px, where the height has fallen to half, of the droplets that count;
            None for no limit. The probability that a radius is within the limits multiplies the presence.
        polarity: "bright" counts droplets that are brighter than what is around them, "dark" darker ones, "both"
            either; in several channels by the one in which a droplet is strongest.
        border: "keep" counts all droplets whose centres lie in what is looked at; "drop" leaves out those whose
            circles its edge cuts, and weighs the others' sizes up for it (Miles and Lantuejoul).
        profile: how the height of a droplet falls from its centre: "gaussian", "disc", "radial" or "rimmed", another
            that is registered (``pyrodrop.rendering.profiles``), or "auto" for that of these four with the greatest
            evidence.
        pixel_size_um: side of a pixel in micrometres, positive; the micrograph's where not given. With it, sizes are
            in micrometres.
        device: where the network looks at the image and the joint fit sums over its pixels, "auto", "cpu" or "cuda";
            auto takes a GPU where there is one. Its sparse systems are solved on the CPU.
        seed: of the posterior draws, not negative.
        weights: a file that ``pyrodrop learn`` wrote, of a network that has learnt from a laboratory's own images; None
            for the network that ships.
        keep: folder in which a measurement that takes more than some seconds keeps what it has worked out, so that the
            same call goes on to the same numbers where it was killed. It is yours to take away when you have the
            results.
        progress: show how far it is, and the time left, on a terminal and in notebooks.
        priors: by the name of a site of the model, r, amplitude, bg, noise or a number of the profile such as edge, a
            distribution of torch or Pyro in the place of its prior: of all positive numbers, or for amplitude, bg and
            curves of either sign. Evidence, and with it presence and count, have it, too.
        noise: "normal"; "student", for pixels that are far off; or ``pyrodrop.models.StudentNoise(df)`` or
            ``CameraNoise(gain, black)``. Other than normal in one channel.

    Returns:
        A ``Measurement``: ``table`` has a row for each droplet, ``count`` how many there are, ``sizes`` how large
        they are, each with a 90 % interval, and ``warnings`` what to be wary of.

    Raises:
        ImageError: if the image has infinite pixels, or is not of at least 8 x 8 px and 1 to 16 channels.
        SettingError: if a setting is out of its range, the mask is not of the image's shape, or the joint fit does not
            take a prior or a noise.
        OSError: if the folder ``keep`` cannot be written to, as on a full disk.

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
    rules = checked_rules(radius_px, polarity, border)
    assumed = OfWhole(None, None, *assumed_in_measure(profiles, priors, noise))
    if isinstance(image, str | os.PathLike):
        image = read_image(image)
    whole_image, known = without_missing(image)
    names, channels = channels_of(whole_image)
    check_channels(assumed.family, len(channels))
    looked_at = checked_mask(mask, (channels.shape[1], channels.shape[2]), known)
    if pixel_size_um is None and isinstance(image, Micrograph):
        pixel_size_um = image.pixel_size_um
    if pixel_size_um is not None:
        pixel_size_um = positive("pixel_size_um", pixel_size_um)

    image_measured = measured_image(channels, names, pixel_size_um, looked_at, known)
    sight = sight_of(image_measured)
    with MeasureProgress(progress) as watch:
        pixels = Pixels.of(sight.known, where, None if keep is None else KeptOnDisk(keep))
        asked: dict[str, Any] = {"weights": network, "device": where, "watch": watch}
        seen = recognise_in_noise(pixels, in_one(sight.whole), profiles, assumed, **asked)
    measurement = measurement_of(image_measured, seen, seed, started, rules)
    return (
        with_other_channels(measurement, image, None, network, where) if isinstance(image, Micrograph) else measurement
    )


def measured_image(
    channels: Tensor,
    names: tuple[str, ...],
    pixel_size_um: float | None,
    looked_at: NDArray[np.bool_] | None = None,
    known: NDArray[np.bool_] | None = None,
) -> MeasuredImage:
    """What is measured of channels, (C, H, W): hot pixels, which no droplet explains, would be taken for noise.

    looked_at: which pixels are, (H, W). known: which of them have a number, (H, W); None for all.
    """
    pixels = channels.double().numpy()
    if known is not None:
        pixels = filled_smoothly(pixels, known, np.zeros(len(pixels)))
        channels = torch.from_numpy(pixels).to(channels.dtype)
    if looked_at is None:
        hot = hot_pixels(pixels, pixel_noise(pixels))
    else:
        seen = np.where(looked_at, pixels, np.nan)
        noise = pixel_noise(seen)
        hot = hot_pixels(filled_smoothly(seen, looked_at, noise), noise) & looked_at
    if hot.any():
        channels = torch.from_numpy(without_hot_pixels(pixels, hot)).to(channels.dtype)
    mask = None if looked_at is None else torch.from_numpy(looked_at)
    return MeasuredImage(channels, names, pixel_size_um, torch.from_numpy(np.argwhere(hot)), mask)


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
