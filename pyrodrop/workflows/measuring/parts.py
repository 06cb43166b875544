"""A part of a larger image: looked at before anything is known of the whole, then measured with what is known of it.

All parts are measured with what is taken of the whole, the network's proposals and the scales of the priors, so that
two parts say the same of what both see, and all parts what the whole image would.
"""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from pyrodrop.joint.pixels import Pixels
from pyrodrop.models.prior_scales import PriorScales as PriorScales
from pyrodrop.models.prior_scales import image_scales
from pyrodrop.recognition.candidates import Candidates
from pyrodrop.recognition.candidates import OfWhole as OfWhole
from pyrodrop.recognition.recognise import Recognised, recognise, recognised_again
from pyrodrop.results.statistics.counts import LIKELY
from pyrodrop.workflows.measuring.assembly import measurement_of
from pyrodrop.workflows.measuring.cut_droplets import filled, unexplained_pixels
from pyrodrop.workflows.measuring.measure import measured_image
from pyrodrop.workflows.measuring.measurement import Measurement

# A part is fitted so many times more where its halo cuts droplets that the fit cannot explain.
_REFITS = 2
# Of the scales, what only ``measure`` has, which measures no parts.
_ASSUMED = ("priors", "family")
# Radius in px that the scales are made for where no droplet was seen.
_USUAL_RADIUS = 8.0


class Look(NamedTuple):
    """What a close look at a part has shown.

    evidence: log evidence of each profile. profile: the one of them with the greatest. scales: of the priors. radii: of
    the droplets, px.
    """

    evidence: dict[str, float]
    profile: str
    scales: PriorScales
    radii: Float[ndarray, " n"]


def look_at(pixels: Float[ndarray, "h w"], profiles: Sequence[str], candidates: Candidates) -> Look:
    """Recognise the droplets of a part of an image of which only the network's candidates are known.

    Args:
        pixels: the part with its halo.
        profiles: those to choose from.
        candidates: of the whole image, those in these pixels.
    """
    recognised = recognise(pixels[None], pixels, profiles, OfWhole(candidates))
    fit = recognised.fit
    return Look(recognised.evidence, fit.profile, fit.scales, _radii(recognised))


def scales_of(looks: Sequence[Look], part_px: int) -> PriorScales:
    """What some parts say of the whole: the widest scales of their priors.

    Args:
        looks: at the parts.
        part_px: longest side of a part in px.
    """
    radii = np.concatenate([look.radii for look in looks])
    return _widest([look.scales for look in looks], float(np.median(radii)) if len(radii) else _USUAL_RADIUS, part_px)


def scales_as_dict(scales: PriorScales) -> dict[str, Any]:
    """The scales of the priors, as JSON has them."""
    return {name: np.asarray(value).tolist() for name, value in vars(scales).items() if name not in _ASSUMED}


def scales_of_dict(stored: dict[str, Any]) -> PriorScales:
    """What ``scales_as_dict`` wrote."""
    values: dict[str, Any] = {name: np.array(v) if isinstance(v, list) else v for name, v in stored.items()}
    return PriorScales(**values)


def measure_part(
    pixels: Float[Tensor, "h w"], channel: str, profile: str, whole: OfWhole, inner: tuple[slice, slice], seed: int
) -> Measurement:
    """Measure a part of an image with its halo.

    Args:
        pixels: the part with its halo.
        channel: name of the channel.
        profile: of the droplets.
        whole: what is known of the whole image.
        inner: rows and columns that count; what lies outside of them and is not explained, as a droplet that the halo
            cuts, is filled in, and the part is fitted again.
        seed: of the posterior draws, and of what is filled in.
    """
    started = time.perf_counter()
    image = measured_image(pixels[None], (channel,), None)
    values = image.channels[0].double().numpy()
    recognised = recognise(values[None], values, (profile,), whole)
    for again in range(_REFITS):
        unexplained = unexplained_pixels(recognised.fit, inner)
        if not unexplained.any():
            break
        values = filled(values, unexplained, recognised.fit, seed + again)
        image = image._replace(channels=torch.from_numpy(values.astype(np.float32))[None])
        recognised = recognised_again(Pixels.of(values), recognised)
    return measurement_of(image, recognised, seed, started)


def _radii(recognised: Recognised) -> Float[ndarray, " n"]:
    """Radii in px of the droplets that are present: the larger of r and that of half height."""
    present = recognised.presence >= LIKELY
    return np.asarray(np.maximum(recognised.fit.r, recognised.fit.half_radius)[present])


def _widest(scales: Sequence[PriorScales], radius_px: float, part_px: int) -> PriorScales:
    """The scales of the whole: wide enough for each part."""
    parts = {
        name: np.stack([getattr(each, name) for each in scales]) for name in ("amplitude", "level", "spread", "noise")
    }
    # A background as stiff as that of an image of a part's size; see ``image_scales``.
    spacing = image_scales(np.zeros((1, part_px, 8)), radius_px).spacing
    return PriorScales(
        parts["amplitude"].max(0),
        np.median(parts["level"], 0),
        parts["spread"].max(0),
        np.median(parts["noise"], 0),
        radius_px,
        spacing,
    )
