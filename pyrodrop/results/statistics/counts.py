"""How many droplets there are, as a distribution: each is present with its own probability."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

# So many droplets are added one after the other, all such blocks at once; blocks are then convolved with each other.
_BLOCK = 64
# Ends of a distribution that are less likely than this are left out: of a million droplets they add up to 1e-20.
_NEGLIGIBLE = 1e-30


@dataclass(frozen=True, eq=False)
class Count:
    """The distribution of the number of droplets.

    Attributes:
        probability: of 0, 1, ..., N droplets, shape (N + 1,), adding up to one.
    """

    probability: Float64[Array, " numbers"]

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
    """The number of droplets that are present: the Poisson-binomial distribution, without sampling.

    One droplet after the other, P(k) <- (1 - p) P(k) + p P(k - 1), in blocks of some, and then the blocks' sum: the
    convolution of their distributions, two by two. No term is ever negative, so that nothing cancels and even unlikely
    numbers keep their digits, which a Fourier transform would drown. A block of m droplets spreads over some
    sqrt(m) numbers, beyond which its ends are left out; so the work is that of N log N and not of N^2. What it takes
    for granted is that the presences are independent of each other.

    Args:
        presence: probability that each droplet is present, (N,), in [0, 1]; N may be 0.

    Returns:
        The distribution, exact to 1e-14; numbers less likely than 1e-30 may have none.

    Raises:
        ValueError: probabilities outside [0, 1], NaN, or not one-dimensional.
    """
    p = presences(presence)
    certain = int((p == 1).sum())
    parts = _blocks(p[(p > 0) & (p < 1)])
    while len(parts) > 1:
        pairs = zip(parts[::2], parts[1::2], strict=False)
        merged = [_trimmed(a.least + b.least, np.convolve(a.probability, b.probability)) for a, b in pairs]
        parts = merged + parts[len(merged) * 2 :]
    whole = np.zeros(len(p) + 1)
    for least, probability in parts:
        whole[certain + least : certain + least + len(probability)] = probability
    return Count(whole / whole.sum())


class _Part(NamedTuple):
    """The distribution of the number of some droplets: of ``least``, ``least`` + 1, ... of them."""

    least: int
    probability: Array


def _blocks(p: Array) -> list[_Part]:
    """The distribution of each block of droplets; one of certainly none where there are no droplets."""
    count = max(-(-len(p) // _BLOCK), 1)
    chances = np.zeros(count * _BLOCK)
    chances[: len(p)] = p
    distribution = np.zeros((count, _BLOCK + 1))
    distribution[:, 0] = 1
    for number, chance in enumerate(chances.reshape(count, _BLOCK).T[..., None]):
        shifted = distribution[:, : number + 1] * chance
        distribution[:, : number + 1] *= 1 - chance
        distribution[:, 1 : number + 2] += shifted
    return [_trimmed(0, row) for row in distribution]


def _trimmed(least: int, probability: Array) -> _Part:
    """A distribution without its negligible ends."""
    likely = np.flatnonzero(probability > _NEGLIGIBLE)
    return _Part(least + int(likely[0]), probability[likely[0] : likely[-1] + 1])


def presences(presence: ArrayLike) -> Float64[Array, " n"]:
    """Presence probabilities as float64, (N,), checked to be in [0, 1]."""
    p = np.asarray(presence, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"presence has shape {p.shape}: give one probability within [0, 1] a droplet.")
    return p


def counted(presence: ArrayLike) -> NDArray[np.bool_]:
    """Which droplets are counted, (N,): as many as the median of their number says, the most probable ones.

    These are the rows of a table, of a figure and of an export. Of equally probable ones the first are taken.

    Args:
        presence: probability that each droplet is there, (N,), in [0, 1].
    """
    p = presences(presence)
    chosen = np.zeros(len(p), bool)
    chosen[np.argsort(-p, kind="stable")[: count_distribution(p).quantile(0.5)]] = True
    return chosen
