"""How many droplets there are, as a distribution: each is there with its own probability."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Count:
    """The distribution of the number of droplets.

    Attributes:
        probability: of 0, 1, ..., N droplets, shape (N + 1,), adding up to one.
    """

    probability: Array

    @property
    def mean(self) -> float:
        """Expected number."""
        return float(np.arange(len(self.probability)) @ self.probability)

    @property
    def sd(self) -> float:
        """Standard deviation of the number."""
        numbers = np.arange(len(self.probability))
        return float(np.sqrt(((numbers - self.mean) ** 2) @ self.probability))

    def quantile(self, level: float) -> int:
        """The least number that is not exceeded with at least this probability, in [0, 1]."""
        if not 0 <= level <= 1:
            raise ValueError(f"level is {level}: give a probability within [0, 1].")
        # A sum of rounded numbers may stay a hair below a level that it should just reach.
        reached = np.cumsum(self.probability) >= level - 1e-12
        return int(np.argmax(reached))

    def as_dict(self) -> dict[str, float | int]:
        """The mean and the 5 % and 95 % quantiles, as ``summary.json`` has them."""
        return {"mean": self.mean, "q05": self.quantile(0.05), "q95": self.quantile(0.95)}


def count_distribution(presence: ArrayLike) -> Count:
    """The number of droplets that are there: the Poisson-binomial distribution, without sampling.

    One droplet after the other, P(k) <- (1 - p) P(k) + p P(k - 1). What it takes for granted is that the
    presences are independent of each other.

    Args:
        presence: probability that each droplet is there, (N,), in [0, 1]; N may be 0.

    Raises:
        ValueError: probabilities outside [0, 1], NaN, or not one-dimensional.
    """
    p = presences(presence)
    certain = int((p == 1).sum())
    distribution = np.ones(1)
    for chance in p[(p > 0) & (p < 1)]:
        distribution = np.append(distribution * (1 - chance), 0.0) + np.append(0.0, distribution * chance)
    whole = np.zeros(len(p) + 1)
    whole[certain : certain + len(distribution)] = distribution
    return Count(whole / whole.sum())


def presences(presence: ArrayLike) -> Array:
    """Presence probabilities as float64, (N,), checked to be in [0, 1]."""
    p = np.asarray(presence, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"presence has shape {p.shape}: give one probability within [0, 1] a droplet.")
    return p
