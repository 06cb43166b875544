"""How many droplets there are, as a distribution: each has a presence of its own, and some doubt is shared."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike, NDArray

from pyrodrop.results.statistics.shared_doubt import central_log_odds, shared_values
from pyrodrop.results.statistics.unfitted import NONE_UNFITTED, Unfitted, binomial

Array = NDArray[np.float64]

# The presence from which a droplet is likelier there than not: drawn as one, and taken for an example of its kind.
LIKELY = 0.5
# So many droplets are added one after the other, all such blocks at once; blocks are then convolved with each other.
_BLOCK = 64
# Ends of a distribution that are less likely than this are left out: of a million droplets they add up to 1e-20.
_NEGLIGIBLE = 1e-30
# Where doubt is shared: so many values of it; and from so many expected droplets and gaps on a normal distribution
# stands for the sum of independent ones.
_SHARED_VALUES = 200
_NORMAL_FROM = 100.0
# Probabilities that are held at once.
_TOGETHER = 1 << 20


@dataclass(frozen=True, eq=False)
class Count:
    """The distribution of the number of droplets.

    Attributes:
        probability: of 0, 1, ... droplets, adding up to one.
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


def count_distribution(presence: ArrayLike, shared_sd: float = 0.0, unfitted: Unfitted = NONE_UNFITTED) -> Count:
    """The number of droplets that are present.

    Of independent droplets it has the Poisson-binomial distribution, here without sampling: one droplet after the
    other, P(k) <- (1 - p) P(k) + p P(k - 1), in blocks of some, and then the blocks' sum: the convolution of their
    distributions, two by two. No term is ever negative, so that nothing cancels and even unlikely numbers keep their
    digits, which a Fourier transform would drown. A block of m droplets spreads over some sqrt(m) numbers, beyond
    which its ends are left out; so the work is that of N log N and not of N^2. Where doubt is shared
    (``shared_doubt``), it is the mean of such distributions over what the droplets have in common.

    Args:
        presence: probability that each droplet is present, (N,), in [0, 1]; N may be 0.
        shared_sd: standard deviation of the part of the log odds that all droplets share, at least 0; with 0 they are
            independent.
        unfitted: M more that are too improbable to be told one from the other (``statistics.unfitted``).

    Returns:
        The distribution, of 0 to N + M; without shared doubt exact to 1e-14, but numbers less likely than 1e-30 may
        have none.

    Raises:
        ValueError: probabilities outside [0, 1], NaN, or not one-dimensional; a negative deviation.
    """
    p = presences(presence)
    if not shared_sd >= 0:
        raise ValueError(f"shared_sd is {shared_sd}: give a standard deviation of log odds, from 0.")
    if shared_sd == 0 and not unfitted.number:
        return Count(_of_independent(p[None])[0])
    from scipy.special import expit

    shared = shared_values(_SHARED_VALUES)
    given_each = expit(central_log_odds(p, shared_sd) + shared_sd * shared.value[:, None])
    if len(p) <= _BLOCK and not unfitted.number:
        return Count(shared.weight @ _added_up(given_each))
    of_rest = unfitted.given(shared.value)
    mean = given_each.sum(1) + unfitted.number * of_rest
    spreads = (given_each * (1 - given_each)).sum(1), unfitted.number * of_rest * (1 - of_rest)
    spread = spreads[0] + spreads[1]
    # Of very many droplets the mean goes further from one value to the next than the number varies at either: each
    # stands for all values around it, over which the mean is as good as uniform.
    between = shared.step * (shared_sd * spreads[0] + unfitted.shared_sd * spreads[1])
    whole = np.zeros(len(p) + unfitted.number + 1)
    narrow = spread <= _NORMAL_FROM
    for row in np.flatnonzero(~narrow):
        variance = float(spread[row] + between[row] ** 2 / 12)
        whole += shared.weight[row] * _normal(float(mean[row]), variance, len(whole) - 1)
    for rows in np.array_split(np.flatnonzero(narrow), max(len(p) * int(narrow.sum()) // _TOGETHER, 1)):
        for row, probability in zip(rows, _of_independent(given_each[rows]), strict=True):
            part = _with_unfitted(_trimmed(0, probability), unfitted.number, float(of_rest[row]))
            whole[part.least : part.least + len(part.probability)] += shared.weight[row] * part.probability
    return Count(whole / whole.sum())


def _with_unfitted(part: "_Part", number: int, chance: float) -> "_Part":
    """The distribution of a number and of so many more droplets, each of this probability."""
    if not number:
        return part
    least, probability = binomial(number, chance)
    return _Part(part.least + least, np.convolve(part.probability, probability))


def _of_independent(chances: Array) -> Array:
    """The probability of each number of the independent droplets of each row, (rows, N), to (rows, N + 1)."""
    count = max(-(-chances.shape[1] // _BLOCK), 1)
    padded = np.zeros((len(chances), count * _BLOCK))
    padded[:, : chances.shape[1]] = chances
    of_blocks = _added_up(padded.reshape(-1, _BLOCK)).reshape(len(chances), count, _BLOCK + 1)
    whole = np.zeros((len(chances), chances.shape[1] + 1))
    for row, blocks in zip(whole, of_blocks, strict=True):
        parts = [_trimmed(0, block) for block in blocks]
        while len(parts) > 1:
            pairs = zip(parts[::2], parts[1::2], strict=False)
            merged = [_trimmed(a.least + b.least, np.convolve(a.probability, b.probability)) for a, b in pairs]
            parts = merged + parts[len(merged) * 2 :]
        least, probability = parts[0]
        row[least : least + len(probability)] = probability
    return whole / whole.sum(1, keepdims=True)


def _normal(mean: float, variance: float, n: int) -> Array:
    """A normal distribution's share of each number from 0 to n, (n + 1,)."""
    from scipy.special import ndtr

    ends = ndtr((np.arange(n + 2) - 0.5 - mean) / np.sqrt(variance))
    ends[0], ends[-1] = 0, 1
    return np.asarray(np.diff(ends))


class _Part(NamedTuple):
    """The distribution of the number of some droplets: of ``least``, ``least`` + 1, ... of them."""

    least: int
    probability: Array


def _added_up(chances: Array) -> Array:
    """The distribution of the number of the droplets in each row, (rows, n), one after the other: (rows, n + 1)."""
    rows, n = chances.shape
    distribution = np.zeros((rows, n + 1))
    distribution[:, 0] = 1
    for number, chance in enumerate(chances.T[..., None]):
        shifted = distribution[:, : number + 1] * chance
        distribution[:, : number + 1] *= 1 - chance
        distribution[:, 1 : number + 2] += shifted
    return distribution


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


def counted(presence: ArrayLike, shared_sd: float = 0.0, unfitted: Unfitted = NONE_UNFITTED) -> NDArray[np.bool_]:
    """Which droplets are counted, (N,): as many as the median of their number says, the most probable ones.

    These are the rows of a table, of a figure and of an export. Of equally probable ones the first are taken.

    Args:
        presence: probability that each droplet is there, (N,), in [0, 1].
        shared_sd: how much doubt they share, as ``count_distribution`` takes it.
        unfitted: those besides that none of them stands for, as ``count_distribution`` takes them.
    """
    p = presences(presence)
    chosen = np.zeros(len(p), bool)
    chosen[np.argsort(-p, kind="stable")[: count_distribution(p, shared_sd, unfitted).quantile(0.5)]] = True
    return chosen
