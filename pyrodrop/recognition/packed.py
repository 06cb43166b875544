"""Images so packed with droplets that no part of them is quiet, which is where the finder reads the noise from.

There it takes the droplets themselves for noise and finds next to nothing. That much of the image is then left
unexplained is how it shows; that a second look, which reads the noise from second differences, explains most of it by
droplets of mostly one sign is how a packed image is told from a textured one.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from pyrodrop.detection.edges import gradient_of_white_noise
from pyrodrop.detection.finder import Found, find
from pyrodrop.detection.population import Population
from pyrodrop.joint.joint_fit import fit_jointly
from pyrodrop.models.prior_scales import image_scales
from pyrodrop.rendering import PROFILES

Array = NDArray[np.float64]

# The quietest quarter is noise if it is no louder than this many times the noise that second differences see.
QUIET_ENOUGH = 1.25
# A first look has failed if it leaves this share of the image's structure unexplained.
FAILED = 0.5
# The second may leave this share of the structure at most, and half of what the first did: on photographs of gravel,
# bricks, grass and print, hundreds of circles leave 0.45 to 0.67 of it, in packed images mostly less than 0.3.
LEFT, BETTER = 0.4, 0.5
# Share of the second look's droplets that must be of one sign: texture has about as many hills as hollows.
ONE_SIGN = 2 / 3
# Steps of a fit that only has to tell how much is explained.
_ROUGH = 12


def found_in_packed(channels: Array, prominent: Array, found: Found, known: Population | None = None) -> Found:
    """The droplets found, or those of a second look where they leave most of a packed image unexplained.

    Args:
        channels: the image, (C, H, W).
        prominent: the one channel that was looked in, (H, W).
        found: by the first look, with everything.
        known: the population that the first look was told of.
    """
    if found.level_noise[0] <= QUIET_ENOUGH * gradient_of_white_noise(found.noise):
        return found
    left = structure_left(channels, found)
    if left <= FAILED:
        return found
    again = find(torch.from_numpy(prominent).float(), everything=True, known=known, packed=True)
    bright = again.amplitude[again.presence >= 0.5] > 0
    if not len(bright) or max(bright.mean(), 1 - bright.mean()) < ONE_SIGN:
        return found
    return again if structure_left(channels, again) <= min(LEFT, BETTER * left) else found


def structure_left(channels: Array, found: Found) -> float:
    """Share of an image's structure that a rough fit of what was found leaves over, about 0 to 1.

    Structure is the mean squared deviation from a smooth background beyond that of the white noise that second
    differences see, in units of the latter: reduced chi-square less 1. Of an image (C, H, W) that is noise alone, 0.
    """
    there = found.presence >= 0.5
    r = found.r[there] / PROFILES["disc"].half_share
    scales = image_scales(channels, float(np.median(found.r[there])) if there.any() else 8.0)
    nothing: Array = np.zeros(0)
    alone = fit_jointly(channels, nothing, nothing, nothing, profile="disc", scales=scales, max_steps=_ROUGH)
    fitted = fit_jointly(channels, found.x[there], found.y[there], r, profile="disc", scales=scales, max_steps=_ROUGH)
    left, structure = (float(np.mean(np.maximum(s.residuals.reduced_chi_square - 1, 0))) for s in (fitted, alone))
    return left / structure if structure > 0 else 0.0
