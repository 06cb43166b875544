"""Droplets that the border of a part of an image cuts: what is seen of them must not count as noise.

The centre of a droplet is sought within the pixels that are looked at. Of one whose centre lies just beyond, a cap is
seen that no droplet explains: the fit takes it for noise, and is then less sure of all others than it should be. A
part reports no droplets that far out; its neighbour does. So these pixels are taken for missing, and filled with what
the fit makes of those around them.
"""

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy import ndimage

from pyrodrop.joint.joint_fit import JointFit

# The residual is averaged by a Gaussian of so many px, and looked into where it is so many times the noise of such
# means; around it so many px more go with it.
_SMOOTHED_PX, _DEVIATIONS, _AROUND_PX = 2.0, 5.0, 4
# Mean squared residual in units of the image's own white noise from which on it is worth a second fit.
_WORTH = 1.03


def unexplained_pixels(fit: JointFit, inner: tuple[slice, slice]) -> Bool[ndarray, "h w"]:
    """Pixels outside of ``inner`` that the fit does not explain; none where the fit as a whole is good.

    Args:
        fit: the fit of a part with its halo, (1, H, W).
        inner: rows and columns that are to stay as they are.
    """
    residual = fit.residuals.image[0].astype(np.float64)
    excess = float(fit.residuals.reduced_chi_square[0])
    outside = np.ones(residual.shape, bool)
    outside[inner] = False
    if excess < _WORTH or not outside.any():
        return np.zeros_like(outside)
    white = np.sqrt(np.square(residual).mean() / excess)
    mean = ndimage.gaussian_filter(residual, _SMOOTHED_PX)
    # The mean of white noise under a Gaussian of standard deviation s has variance 1 / (4 pi s^2).
    strange = np.abs(mean) > _DEVIATIONS * white / (2 * np.sqrt(np.pi) * _SMOOTHED_PX)
    return np.asarray(ndimage.binary_dilation(strange & outside, iterations=_AROUND_PX) & outside)


def filled(
    pixels: Float[ndarray, "h w"], unexplained: Bool[ndarray, "h w"], fit: JointFit, seed: int
) -> Float[ndarray, "h w"]:
    """The image with what the fit predicts, and white noise, in place of what it does not explain."""
    residual = fit.residuals.image[0].astype(np.float64)
    white = np.sqrt(np.square(residual).mean() / float(fit.residuals.reduced_chi_square[0]))
    noise = np.random.default_rng(seed).normal(0.0, white, pixels.shape)
    return np.where(unexplained, pixels - residual + noise, pixels)
