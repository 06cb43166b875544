"""Pictures of droplets learnt from an image and its circles: ``pyrodrop.fit_appearance``."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.images import ImageError
from pyrodrop.joint.appearance.fit import FROZEN, Fitted, fit_from, fit_with, initial, unit_prior
from pyrodrop.joint.appearance.pictures import canonical
from pyrodrop.joint.appearance.posterior import deviations
from pyrodrop.joint.appearance.state import Data, PicturePrior, data_of, picture_units
from pyrodrop.joint.appearance.tangent import EVERYTHING
from pyrodrop.models.prior_scales import image_scales
from pyrodrop.workflows.appearance.appearance import Appearance
from pyrodrop.workflows.measuring.measure import channels_of
from pyrodrop.workflows.settings import SettingError, pick_device, positive_whole, whole

_LEAST_RADIUS = 0.5  # px


def fit_appearance(
    image: object,
    circles: object,
    *,
    n_pictures: int = 4,
    in_colour: bool = False,
    pictures: Appearance | None = None,
    frozen: bool = True,
    device: str = "auto",
    seed: int = 0,
) -> Appearance:
    """Learn what the droplets of an image look like, and fit their circles, weights and pictures together.

    The model is ``pyrodrop.models.appearance``: each droplet is drawn with a few pictures in units of its radius, which
    all of them share. Circles that sit on a part of their droplets are first moved onto the whole; then pictures are
    added one at a time as long as the evidence rises, and each time centres, radii, weights, pictures, background and
    noise are fitted together (``joint.appearance``). Which circles are droplets is not asked: as many come out as went
    in. Deviations are those of the model: where pictures fade before the outline, radii are off by some per cent.

    Args:
        image: (H, W) or (C, H, W), an array, a tensor or a ``Micrograph``, as for ``measure``.
        circles: a ``Measurement`` of the image, a table with the columns x_px, y_px and radius_px, or an array (N, 3).
        n_pictures: pictures at most.
        in_colour: each droplet has one set of weights, of pictures in colour; else one in each channel, of pictures
            that the channels share.
        pictures: an ``Appearance`` of an image of the same kind, whose pictures are used.
        frozen: with ``pictures``: they are as given; else what is known of them is a prior.
        device: "auto", "cpu" or "cuda"; auto takes a GPU where there is one.
        seed: of the draws behind the standard deviations, not negative.

    Returns:
        An ``Appearance``: circles, weights and pictures, each with its standard deviation.

    Raises:
        ImageError: the image is not of one of these shapes, or has pixels that are no numbers.
        SettingError: there are no circles, or circles or settings that cannot be.

    Example:
        >>> import pyrodrop
        >>> image, truth = pyrodrop.simulate(5, (50, 60), seed=3, kind="gray", profile="disc", radius_px=(5, 7))
        >>> look = pyrodrop.fit_appearance(image, truth, n_pictures=1)
        >>> look.pictures.shape[0], len(look.table), look.explained > 0.9
        (1, 5, True)
    """
    where = pick_device(device)
    number, seed = positive_whole("n_pictures", n_pictures), whole("seed", seed)
    names, channels = channels_of(image)
    if not bool(torch.isfinite(channels).all()):
        raise ImageError("the image has pixels that are no numbers: fill them, or cut them off.")
    x, y, r = checked_circles(circles, (channels.shape[1], channels.shape[2]))
    pixels = channels.double().to(where)
    scales = image_scales(pixels.cpu().numpy(), float(np.median(r)))
    data = data_of(pixels, scales, in_colour and len(channels) > 1)
    places = [torch.from_numpy(v).to(where) for v in (x, y, r)]
    if pictures is None:
        fitted = fit_from(initial(data, *places), data, number)
        prior, free = unit_prior(fitted.mode.state.pictures), EVERYTHING
    else:
        data, known, about = _given(pictures, data)
        start = initial(data, *places)._replace(log_edge=pictures.edge.double().to(where).log())
        fitted = fit_with(start, data, known, None if frozen else about)
        prior, free = (unit_prior(known), FROZEN) if frozen else (about, EVERYTHING)
    sds = deviations(fitted.mode.state, data, prior, free, seed)
    return _result(fitted, data, channels, names, sds, shown=pictures is None)


def checked_circles(circles: Any, size: tuple[int, int]) -> tuple[NDArray[np.float64], ...]:
    """Centres and radii in px, (N,) each, of what may be a measurement, a table or an array (N, 3).

    Raises:
        SettingError: no circles, or some that are not within a radius of the image.
    """
    circles = getattr(circles, "table", circles)
    names = ("x_px", "y_px", "radius_px")
    if hasattr(circles, "columns"):
        missing = [name for name in names if name not in circles.columns]
        if missing:
            raise SettingError(
                f"circles have no column {', '.join(missing)}: give a table with x_px, y_px and radius_px.", "circles"
            )
        circles = circles[list(names)].to_numpy(float)
    values = np.asarray(circles, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != 3 or len(values) == 0:
        raise SettingError(
            f"circles have shape {values.shape}: give x, y and radius in px of at least one, (N, 3).", "circles"
        )
    x, y, r = (np.array(column) for column in values.T)
    good = np.isfinite(values).all(1) & (r >= _LEAST_RADIUS) & (r <= max(size))
    good &= (x > -r) & (x < size[1] + r) & (y > -r) & (y < size[0] + r)
    if not good.all():
        raise SettingError(
            f"circle {int(np.argmin(good))} is {values[np.argmin(good)].tolist()}: give circles that meet the image, "
            f"with radii from {_LEAST_RADIUS} px to its longer side.",
            "circles",
        )
    return x, y, r


def _given(look: Appearance, data: Data) -> tuple[Data, Tensor, PicturePrior]:
    """The data in the form of given pictures, these in the model's units, and what is known of them as a prior."""
    in_colour = look.pictures.shape[1] > 1
    if in_colour and look.pictures.shape[1] != len(data.channels):
        raise SettingError(
            f"the pictures are in {look.pictures.shape[1]} colours and the image has {len(data.channels)} channels: "
            "give an image of as many.",
            "pictures",
        )
    data = data._replace(in_colour=in_colour)
    unit = data.amplitude[:, None] if in_colour else 1.0
    known, sd = (part.double().to(data.channels.device) / unit for part in (look.pictures, look.pictures_sd))
    # What is frozen in the given fit is known exactly there; as a prior it is no more certain than rounding.
    return data, known, PicturePrior(known, sd.clamp(min=1e-3) ** -2.0)


def _result(fitted: Fitted, data: Data, channels: Tensor, names: tuple[str, ...], sds: Any, shown: bool) -> Appearance:
    state = canonical(fitted.mode.state, data) if shown else fitted.mode.state
    unit = data.amplitude[:, None] if data.in_colour else 1.0
    return Appearance(
        channels=channels,
        names=names,
        pictures=picture_units(state, data).cpu(),
        pictures_sd=(sds.pictures * unit).cpu(),
        weights=state.weights.cpu(),
        weights_sd=sds.weights.cpu(),
        places=torch.stack([state.x, state.y, state.log_r.exp()], 1).cpu(),
        places_sd=sds.place.cpu(),
        edge=state.log_edge.exp().cpu(),
        bg=state.bg.cpu(),
        noise=state.log_noise.exp().cpu(),
        spacing=float(data.scales.spacing),
        evidence=tuple(fitted.evidence),
        converged=fitted.mode.converged,
    )
