"""From what cells sum to, to the probability that is said: as often right, whatever the image.

First each sum s by itself: p = f(s), a rising function. Then by the company it is in. Where the network is sure of most
of what it sees in an image, it is right more often than p says; where it wavers, as in a texture, less often. With g_i
how doubtful the other proposals of the image are, on the average of the droplets to be expected of them,

    g_i = (g_0 + sum over j not i of p_j (1 - p_j)) / (1 + sum over j not i of p_j),
    log odds said = a + b g_i + (c + d g_i) logit p_i,

g_0 the average over all images, which counts as one droplet: in an image of nothing else, nothing else is known. All
numbers are learnt on held-out simulations (``detection.learning.held_out``).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

Floats = NDArray[np.float64]

_SUREST = 1e-4  # no log odds are further out than those of this probability


class ByDoubt(NamedTuple):
    """The numbers a, b, c, d and g_0; those that change nothing, if not given."""

    constant: float = 0.0
    constant_by_doubt: float = 0.0
    slope: float = 1.0
    slope_by_doubt: float = 0.0
    usual_doubt: float = 0.0


class Calibration(NamedTuple):
    """Presence as it is said, from what the cells sum to.

    summed, said: of f, straight lines between points: rising numbers from 0 to 1, as many of both. by_doubt: a to g_0.
    """

    summed: tuple[float, ...] = (0.0, 1.0)
    said: tuple[float, ...] = (0.0, 1.0)
    by_doubt: ByDoubt = ByDoubt()

    def alone(self, summed: Floats) -> Floats:
        """F of the sums, (n,)."""
        return np.interp(summed, self.summed, self.said)

    def __call__(self, summed: Floats) -> Floats:
        """What is said of all proposals of an image, (n,), whose cells sum to this."""
        by, presence = self.by_doubt, self.alone(summed)
        doubt = doubt_of_others(presence, by.usual_doubt)
        odds = log_odds(presence)
        said = expit(by.constant + by.constant_by_doubt * doubt + (by.slope + by.slope_by_doubt * doubt) * odds)
        return np.where(presence > 0, said, 0.0)


def doubt_of_others(presence: Floats, usual: float) -> Floats:
    """G of each of the n proposals of an image."""
    doubt = presence * (1 - presence)
    return (usual + doubt.sum() - doubt) / (1 + presence.sum() - presence)


def log_odds(presence: Floats) -> Floats:
    """Of probabilities, kept finite."""
    return np.asarray(logit(np.clip(presence, _SUREST, 1 - _SUREST)))
