"""Droplets in what a fit leaves over: peaks of the matched filter, at the radii that the image's droplets have."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pyrodrop.render import PROFILES

Array = NDArray[np.float64]

# Signal to noise from which a peak is a candidate: noise alone has about one in three images of 200,000 pixels there.
# Whether it stays is for its evidence to say.
STANDS_OUT = 4.5
# Radii that are tried: from the least to the greatest of the droplets, less and more by this, so many.
_MARGIN, _RADII = 1.4, 6
# Where a profile is cut, in radii and, past the edge, in widths of it.
_CUT, _EDGES = 3.5, 3.0


class Peaks(NamedTuple):
    """Peaks of the filter: x, y and the model's radius r in px, and the signal to noise, (n,) each."""

    x: Array
    y: Array
    r: Array
    signal: Array


def peaks_left_over(residual: NDArray[np.float32], noise: Array, radii: Array, profile: str, shape: Array) -> Peaks:
    """Where droplets of this profile stand out of a residual, whatever their sign.

    At each radius r the amplitude that fits best at a pixel is sum(residual f) / sum(f^2), over the pixels inside the
    image, and its signal to noise sum(residual f) / (noise sqrt(sum(f^2))); over channels these add up as squares.
    A peak is the greatest within its radius, over all radii.

    Args:
        residual: what is left over, (C, H, W).
        noise: its standard deviation, (C,), positive.
        radii: of the droplets that are known, (N,), at least one.
        profile, shape: of the droplets, as for ``pyrodrop.render``.
    """
    from scipy.ndimage import maximum_filter
    from scipy.signal import fftconvolve

    standard = residual.astype(np.float64) / noise[:, None, None]
    inside = np.ones(residual.shape[1:])
    low, high = np.quantile(radii, [0.05, 0.95])
    tried = np.geomspace(max(low / _MARGIN, 1.0), max(high * _MARGIN, 1.5), _RADII)
    responses = np.empty((_RADII, *inside.shape))
    for k, r in enumerate(tried):
        template = _template(profile, float(r), shape)
        power = np.maximum(fftconvolve(inside, template**2, "same"), 1e-9 * (template**2).sum())
        matched = np.stack([fftconvolve(channel, template, "same") for channel in standard])
        responses[k] = np.sqrt(np.square(matched).sum(0) / power)
    best = responses.argmax(0)
    response = responses.max(0)
    found = []
    for k, r in enumerate(tried):
        greatest = response >= maximum_filter(response, 2 * int(r) + 1) - 1e-12
        found.append(np.argwhere(greatest & (best == k) & (response > STANDS_OUT)))
    places = np.concatenate(found)
    rows, columns = places[:, 0], places[:, 1]
    return Peaks(columns.astype(float), rows.astype(float), tried[best[rows, columns]], response[rows, columns])


def _template(profile: str, r: float, shape: Array) -> Array:
    """A droplet's profile on a square of pixels around its centre."""
    reach = int(np.ceil(_CUT * r if not len(shape) else r + _EDGES * float(shape[0])))
    along = np.arange(-reach, reach + 1)
    squared = torch.from_numpy((along**2 + along[:, None] ** 2) / r**2)
    given = torch.from_numpy(shape) if len(shape) else None
    heights = PROFILES[profile](squared, squared.new_tensor(r), given)
    return np.asarray(heights.numpy())
