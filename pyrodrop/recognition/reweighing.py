"""Droplets recognised in noise that has tails or goes with the light: what pixels count for is found with them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrodrop.joint.assumed.weights import changed_weights, weighed_again, weighed_at_first
from pyrodrop.joint.pixels import Pixels
from pyrodrop.models.assumed.noise_families import NORMAL
from pyrodrop.recognition.candidates import OfWhole
from pyrodrop.recognition.recognise import Recognised, recognise, recognised_again

Array = NDArray[np.float64]

# Rounds of fits and weights, and the change of weights, in units of their mean, after which no more are needed: what
# the droplets then move by is some hundredths of it, in standard deviations.
_ROUNDS, _SAME = 8, 0.01


def recognise_in_noise(
    pixels: Pixels, prominent: Array, profiles: Sequence[str], whole: OfWhole, **how: Any
) -> Recognised:
    """As ``recognise``, with the priors and the family of noise that are known of the whole.

    Droplets are recognised with the weights that the image itself gives its pixels, and then fitted again, with those
    that the last fit gives them, until these change no more.

    Args:
        pixels, prominent, profiles, how: as for ``recognise``; of one channel if the noise is not normal.
        whole: what is known; its family of noise among it.
    """
    if whole.family == NORMAL:
        return recognise(pixels, prominent, profiles, whole, **how)
    pixels = weighed_at_first(pixels, whole.family, whole.priors)
    seen = recognise(pixels, prominent, profiles, whole, **how)
    for _ in range(_ROUNDS):
        again = weighed_again(pixels, seen.fit)
        same = changed_weights(pixels, again) < _SAME
        pixels, seen = again, recognised_again(again, seen)
        if same:
            break
    return seen
