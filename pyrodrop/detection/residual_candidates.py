"""Candidates in the residual of a fit: peaks of a matched filter, at the radii that the image's droplets have."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pyrodrop.rendering import profile_named

Array = NDArray[np.float64]

# Signal to noise from which a peak is a candidate: noise alone has about one in three images of 200,000 pixels there.
# Whether it stays is for its evidence to say.
STANDS_OUT = 4.5
# Radii that are tried: from the least to the greatest of the droplets, less and more by this, so many.
_MARGIN, _RADII = 1.4, 6
# Share of a profile's greatest height under which it is cut. What that leaves out of sum(f^2) is, of a Gaussian, the
# square of it, a millionth, and of a soft edge less than a ten thousandth.
_CUT = 1e-3
# Median of the size of a standard normal number; and rounds after which a scatter of ten is found to a tenth.
_MEDIAN_SIZE, _ROUNDS = 0.6745, 4


class Peaks(NamedTuple):
    """Peaks of the filter: x, y and the model's radius r in px, and the signal to noise, (n,) each."""

    x: Array
    y: Array
    r: Array
    signal: Array


def residual_peaks(
    residual: NDArray[np.float32],
    noise: Array,
    radii: Array,
    profile: str,
    shape: Array,
    known: NDArray[np.bool_] | None = None,
) -> Peaks:
    """Where droplets of this profile stand out of a residual, whatever their sign.

    At each radius r the amplitude that fits best at a pixel is sum(residual f) / sum(f^2), over the pixels inside the
    image, and its signal to noise sum(residual f) / (noise sqrt(sum(f^2))); over channels these add up as squares.
    That is right of noise that is independent from pixel to pixel. Of noise that is not, as blocks of JPEG are not, and
    of a background that the model cannot follow, sums over a droplet scatter more: where the signal's
    own scatter is more than 1, it is in units of that. A peak is the greatest within its radius, over all radii.

    Args:
        residual: the image less that of the fit, (C, H, W).
        noise: its standard deviation, (C,), positive.
        radii: of the droplets that are known, (N,), at least one.
        profile, shape: of the droplets, as for ``pyrodrop.render``.
        known: pixels that are known, (H, W); in the others the residual is 0. No peak lies in them.
    """
    from scipy.ndimage import maximum_filter

    standard = (residual / noise[:, None, None]).astype(np.float32)
    counts = np.ones(standard.shape[1:], bool) if known is None else known
    low, high = np.quantile(radii, [0.05, 0.95])
    tried = np.geomspace(max(low / _MARGIN, 1.0), max(high * _MARGIN, 1.5), _RADII)
    templates = [_template(profile, float(r), shape) for r in tried]
    image, inside = (_Filtered.of(one, max(map(len, templates))) for one in (standard, counts[None].astype(np.float32)))
    responses = np.empty((_RADII, *standard.shape[1:]), np.float32)
    for template, response in zip(templates, responses, strict=True):
        power = np.maximum(inside.by(template**2)[0], 1e-6 * (template**2).sum())
        signal = image.by(template) / np.sqrt(power)
        spread = np.array([_spread_of(each, counts) for each in signal])
        response[:] = np.sqrt(np.square(signal / spread[:, None, None]).sum(0))
    best = responses.argmax(0)
    response = responses.max(0)
    peaks = []
    for k, r in enumerate(tried):
        greatest = response >= maximum_filter(response, 2 * int(r) + 1) - 1e-12
        peaks.append(np.argwhere(greatest & (best == k) & (response > STANDS_OUT) & counts))
    places = np.concatenate(peaks)
    rows, columns = places[:, 0], places[:, 1]
    return Peaks(columns.astype(float), rows.astype(float), tried[best[rows, columns]], response[rows, columns])


def _spread_of(signal: NDArray[np.float32], known: NDArray[np.bool_]) -> float:
    """Scatter of a signal to noise (H, W) where it is known and nothing stands out, robustly; 1 or more."""
    sizes = np.abs(signal[::2, ::2][known[::2, ::2]])  # neighbours say nearly the same
    spread = 1.0
    for _ in range(_ROUNDS):  # from below, so that what stands out never counts
        level = sizes[sizes < STANDS_OUT * spread]
        spread = max(float(np.median(level)) / _MEDIAN_SIZE, spread) if level.size else spread
    return spread


class _Filtered(NamedTuple):
    """Pictures (P, H, W) whose transforms are known, so that each template takes two transforms and not three.

    Numbers are of single precision, a millionth of the largest; peaks are taken from 4.5 on.
    """

    spectra: NDArray[np.complex64]
    size: tuple[int, int]
    padded: tuple[int, int]

    @classmethod
    def of(cls, pictures: NDArray[np.float32], widest: int) -> "_Filtered":
        """For templates of at most so many px a side."""
        from scipy import fft

        height, width = pictures.shape[1:]
        rows, columns = (fft.next_fast_len(max(side + widest // 2, widest), real=True) for side in (height, width))
        return cls(fft.rfft2(pictures, (rows, columns)), (height, width), (rows, columns))

    def by(self, template: Array) -> NDArray[np.float32]:
        """The pictures convolved with a square template of an odd side, zero outside of them, (P, H, W)."""
        from scipy import fft

        spectrum = fft.rfft2(template.astype(np.float32), self.padded)
        convolved = fft.irfft2(self.spectra * spectrum, self.padded)
        reach = len(template) // 2
        return np.asarray(convolved[:, reach : reach + self.size[0], reach : reach + self.size[1]])


def _template(profile: str, r: float, shape: Array) -> Array:
    """A droplet's profile on a square of pixels around its centre, as far as the profile itself says that it goes."""
    drawn = profile_named(profile)
    reach = int(np.ceil(drawn.support(np.array([r]), shape, _CUT)[0]))
    along = np.arange(-reach, reach + 1)
    squared = torch.from_numpy((along**2 + along[:, None] ** 2) / r**2)
    heights = drawn.height(squared, squared.new_tensor(r), torch.from_numpy(shape))
    return np.asarray(heights.numpy())
