"""What is learnt of how droplets move, change, come and go: the numbers that the costs of links are made of."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class PathProcess(NamedTuple):
    """How a path goes from frame to frame; the sites of ``pyrodrop.models.paths``. Lengths in px, times in frames.

    Attributes:
        diffusion: D of a droplet of the reference radius, px^2 a frame: a step has the variance 2 D along each axis.
        mobility_exponent: D falls as radius^-exponent; 1 by Stokes and Einstein.
        reference: the radius that ``diffusion`` is of, px.
        rate_sd: standard deviation of the rates dr/dt among droplets, px a frame.
        rate_time: for how many frames a rate keeps its value (correlation time).
        look_step: variance of the step of the logarithm of the amplitude, a frame.
        position_factor, radius_factor, look_factor: true variance of a detection over the one that was stated.
        drift: steps that all droplets make together from each frame to the next, (frames, 2), px; of the last frame 0.
    """

    diffusion: float
    mobility_exponent: float
    reference: float
    rate_sd: float
    rate_time: float
    look_step: float
    position_factor: float
    radius_factor: float
    look_factor: float
    drift: Array

    @property
    def drifted(self) -> Array:
        """Where the drift has taken all droplets by each frame, (frames, 2), px."""
        return np.concatenate([np.zeros((1, 2)), np.cumsum(self.drift, 0)[:-1]])

    def numbers(self) -> Array:
        """What compiled code takes: all but the drift and the factors, (6,)."""
        return np.array(
            [
                self.diffusion,
                self.mobility_exponent,
                self.reference,
                self.rate_sd,
                self.rate_time,
                self.look_step,
            ]
        )


class Lives(NamedTuple):
    """How droplets come and go, for each readable frame and droplet.

    Attributes:
        detected: probability that a droplet that is there is detected.
        vanishing: probability that it dissolves, or is seen no more for another reason than leaving or merging.
        appearing: new droplets within the frame over those there are.
        spurious: factor of the odds that a detection is none, of its frame alone, over those that its presence states.
        alike: factor of the odds that it is none, but looks like a droplet in its other frames, too, over those.
        merging: probability that two droplets whose rims touch become one until the next frame.
        splitting: probability, looking back in time, that two whose rims touch were one in the frame before.
    """

    detected: float = 0.95
    vanishing: float = 1e-3
    appearing: float = 1e-3
    spurious: float = 0.5
    alike: float = 0.5
    merging: float = 0.1
    splitting: float = 1e-3
