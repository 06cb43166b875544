"""What pixels count for where the noise has tails or goes with the light: the normal equations reweighted in turn.

The joint fit sums squares. Weights by a family of noise (``models.assumed.noise_families``) at the residual of one fit
are those of the next: for Student's t that is expectation and maximisation, which ends at the mode of the model itself;
for a camera's noise it ends where the light is the likeliest given the variances, and leaves out what the
variances say of the light, about one part in 2 n of all with n electrons a pixel (Nelder and Wedderburn's
quasi-likelihood). See Lange, Little and Taylor, JASA 84 (1989) 881.

With weights w of residuals e, psi = w e, and means over the pixels, the variance of an estimate is the sandwich's,
mean(psi^2) / mean(psi')^2 over the sum of its squared derivatives (Huber, *Robust Statistics*, 1981), while weighted
sums alone would have mean(w e^2) / mean(w) for it. The noise of the fit is larger by the root of the ratio of the two:
for Student's t itself by that of (df + 3) / (df + 1), and for other noise by what it is there.
"""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from pyrodrop.joint.joint_fit import JointFit, residual_everywhere
from pyrodrop.joint.pixels import Pixels, PixelWeights
from pyrodrop.models.assumed.noise_families import CameraNoise, NoiseFamily, StudentNoise
from pyrodrop.models.assumed.site_priors import SitePrior

Array = NDArray[np.float64]

# The read noise is looked for between these shares of the noise of the pixel of median variance.
_READ = (1e-3, 3.0)
# The mean of psi' is a half for Student's t of one degree of freedom: below half of that the scale is far off.
_LEAST_SLOPE = 0.25


def weighed_at_first(pixels: Pixels, family: NoiseFamily, priors: tuple[SitePrior, ...] = ()) -> Pixels:
    """Pixels of one channel with the weights that the image itself gives them, before anything is fitted.

    What is behind the noise is taken to be the median of each pixel and its eight neighbours.
    """
    from scipy.ndimage import median_filter

    channel = pixels.channels[0]
    filled = channel if pixels.all_known else np.where(pixels.known, channel, np.median(channel[pixels.known]))
    light = median_filter(filled, 3)
    return _weighed(pixels, family, priors, light, filled - light, float(pixels.white_noise[0]))


def weighed_again(pixels: Pixels, fit: JointFit) -> Pixels:
    """The same pixels with the weights that they have by what a fit of them leaves over."""
    residual = residual_everywhere(fit, pixels.channels)[0]
    light = np.where(pixels.known, pixels.channels[0], 0.0) - residual
    scales = fit.scales
    return _weighed(pixels, scales.family, scales.priors, light, residual, float(fit.noise_scale[0]))


def changed_weights(before: Pixels, after: Pixels) -> float:
    """Root mean square of by how much the weights of two are apart, in units of their mean."""
    if before.weights is None or after.weights is None:
        return 0.0
    (one, other), known = (np.square(each.weights.root) for each in (before, after)), after.known  # type: ignore[union-attr]
    return float(np.sqrt(np.square(one - other)[known].mean()) / other[known].mean())


def _weighed(
    pixels: Pixels, family: NoiseFamily, priors: tuple[SitePrior, ...], light: Array, residual: Array, scale: float
) -> Pixels:
    if isinstance(family, StudentNoise):
        weights = family.weights(residual, light, scale)
        unit = _unit(family, residual[pixels.known], weights[pixels.known], scale)
        return replace(pixels, weights=PixelWeights(np.sqrt(weights), unit, None))
    if isinstance(family, CameraNoise):
        own = next((prior for prior in priors if prior.site == "noise"), None)
        read = read_noise(family, light[pixels.known], residual[pixels.known], own)
        variance = family.variance(light, read)
        root = np.sqrt(np.median(variance[pixels.known]) / variance)
        return replace(pixels, weights=PixelWeights(root, 1.0, read))
    return pixels


def _unit(family: StudentNoise, residual: Array, weights: Array, scale: float) -> float:
    """By how much the noise of a fit is larger than what the weighted squares have for it; see above."""
    squared = np.square(residual / scale)
    slope = (family.df + 1) * (family.df - squared) / np.square(family.df + squared)
    of_sandwich = np.square(weights * residual).mean() / max(float(slope.mean()), _LEAST_SLOPE) ** 2
    return float(np.sqrt(of_sandwich * weights.mean() / max(float((weights * residual**2).mean()), 1e-300)))


def read_noise(family: CameraNoise, light: Array, residual: Array, prior: SitePrior | None) -> float:
    """The likeliest read noise of pixels of this light, (n,), that are off by these residuals.

    Args:
        family: whose gain and black level are known.
        light, residual: of each pixel, (n,).
        prior: of the read noise; None for one that says nothing.
    """
    from scipy.optimize import minimize_scalar

    squared, by_light = np.square(residual), family.variance(light, 0.0)
    typical = float(np.sqrt(np.median(squared) / 0.455))  # the median of a squared standard normal

    def energy(log_read: float) -> float:
        variance = np.exp(2 * log_read) + by_light
        value = float((np.log(variance) + squared / variance).sum() / 2)
        if prior is not None:
            read = torch.tensor(np.exp(log_read), dtype=torch.float64)
            value -= float(prior.log_density(read)) + log_read
        return value

    low, high = (np.log(max(share * typical, 1e-12)) for share in _READ)
    return float(np.exp(minimize_scalar(energy, bounds=(low, high), method="bounded").x))
