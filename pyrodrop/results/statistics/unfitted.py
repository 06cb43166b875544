"""Circles that are too improbable to be fitted, and yet add up: how many of them may be droplets.

A network that sees a crowd proposes some of it with so little probability that to fit it all would take longer than the
rest, and tell nothing. Each alone is nothing to report; together they are a part of the number of droplets. No one of
them is told from the others, so that all are as probable as their mean, and their doubt is shared as that of the others
is (``shared_doubt``), but more of it: mostly none of them is a droplet, and now and then, in a crowd, many are. Given
what is shared, their number has the binomial distribution.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from pyrodrop.results.statistics.shared_doubt import central_log_odds

Array = NDArray[np.float64]


class Unfitted(NamedTuple):
    """number: of the circles. expected: how many of them are droplets, at most number. shared_sd: standard deviation of
    what their log odds share.
    """

    number: int = 0
    expected: float = 0.0
    shared_sd: float = 0.0

    @classmethod
    def of_dict(cls, stored: object) -> "Unfitted":
        """What ``as_dict`` wrote; none for anything else."""
        if not isinstance(stored, Mapping):
            return cls()
        values = [stored.get(name) for name in ("number", "expected", "shared_doubt")]
        numbers = [float(value) for value in values if isinstance(value, int | float)]
        if len(numbers) < len(values) or not 0 <= numbers[1] <= numbers[0] < np.inf or not 0 <= numbers[2] < np.inf:
            return cls()
        return cls(round(numbers[0]), numbers[1], numbers[2])

    def as_dict(self) -> dict[str, float | int]:
        """As ``summary.json`` has it."""
        return {"number": self.number, "expected": self.expected, "shared_doubt": self.shared_sd}

    @property
    def presence(self) -> float:
        """Probability of each that it is a droplet."""
        return self.expected / self.number if self.number else 0.0

    def given(self, shared: Float64[Array, " u"]) -> Float64[Array, " u"]:
        """The probability of each given these values of what all droplets share."""
        from scipy.special import expit

        return np.asarray(expit(central_log_odds([self.presence], self.shared_sd) + self.shared_sd * shared))

    def share(self, of_all: float) -> "Unfitted":
        """As many of them as this share of all, in [0, 1]."""
        number = round(of_all * self.number)
        return self._replace(number=number, expected=self.presence * number)


NONE_UNFITTED = Unfitted()


def binomial(number: int, chance: float) -> tuple[int, Array]:
    """The binomial distribution: the least number that is not negligible, and the probability of it and those after."""
    from scipy.special import gammaln, xlog1py, xlogy

    k = np.arange(number + 1)
    log = (
        gammaln(number + 1) - gammaln(k + 1) - gammaln(number - k + 1) + xlogy(k, chance) + xlog1py(number - k, -chance)
    )
    likely = np.flatnonzero(log > log.max() - 70)
    probability = np.exp(log[likely[0] : likely[-1] + 1])
    return int(likely[0]), probability / probability.sum()
