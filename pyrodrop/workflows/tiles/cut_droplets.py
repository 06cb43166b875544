"""Droplets that the outer border of a halo cuts: what is seen of them must not count as noise.

The centre of a droplet is sought within the pixels that are looked at. Of one whose centre lies just beyond, a cap is
seen that no droplet explains: the fit takes it for noise, and is then less sure of all others than it should be. A
tile does not tell of droplets that far out; its neighbour does. So these pixels are taken for missing, and
filled with what the fit makes of those around them.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pyrodrop.joint.joint_fit import JointFit
from pyrodrop.workflows.tiles.grid import Box

# What is left over is averaged by a Gaussian of so many px, and looked into where it is so many times the noise of
# such means; around it so many px more go with it.
_SMOOTHED_PX, _DEVIATIONS, _AROUND_PX = 2.0, 5.0, 4
# Mean squared residual in units of the image's own white noise from which on it is worth a second fit.
_WORTH = 1.03


def cut_off(fit: JointFit, inner: Box) -> NDArray[np.bool_]:
    """Pixels outside of ``inner`` that the fit does not explain, (H, W); none where the fit as a whole is good.

    Args:
        fit: the fit of a tile with its halo, (1, H, W).
        inner: the pixels, counted from the halo's corner, that are to stay as they are.
    """
    residual = fit.residuals.image[0].astype(np.float64)
    excess = float(fit.residuals.reduced_chi_square[0])
    outside = np.ones(residual.shape, bool)
    outside[inner.top : inner.bottom, inner.left : inner.right] = False
    if excess < _WORTH or not outside.any():
        return np.zeros_like(outside)
    white = np.sqrt(np.square(residual).mean() / excess)
    mean = ndimage.gaussian_filter(residual, _SMOOTHED_PX)
    # The mean of white noise under a Gaussian of standard deviation s has variance 1 / (4 pi s^2).
    strange = np.abs(mean) > _DEVIATIONS * white / (2 * np.sqrt(np.pi) * _SMOOTHED_PX)
    return np.asarray(ndimage.binary_dilation(strange & outside, iterations=_AROUND_PX) & outside)


def mended(pixels: NDArray[np.float64], cut: NDArray[np.bool_], fit: JointFit, seed: int) -> NDArray[np.float64]:
    """The image (H, W) with what the fit says, and white noise, in place of what it does not explain."""
    residual = fit.residuals.image[0].astype(np.float64)
    white = np.sqrt(np.square(residual).mean() / float(fit.residuals.reduced_chi_square[0]))
    noise = np.random.default_rng(seed).normal(0.0, white, pixels.shape)
    return np.where(cut, pixels - residual + noise, pixels)
