"""What the images of a sample say together, as posterior draws, and how two samples differ."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from pyrodrop.results.statistics.image_statistics import NUMBER, WITHOUT_UNIT

Array = NDArray[np.float64]

# The unit of areas that goes with one of lengths.
AREAS = {"um": "mm2", "px": "Mpx"}
# From so many images on, how far they differ is mostly what the images say, and not what was thought before.
ENOUGH_IMAGES = 3


class Interval(NamedTuple):
    """The median of a number and the interval that holds it with 90 %."""

    median: float
    q05: float
    q95: float

    @classmethod
    def of(cls, draws: Array) -> "Interval":
        """That of posterior draws, (D,)."""
        low, middle, high = np.quantile(draws, [0.05, 0.5, 0.95])
        return cls(float(middle), float(low), float(high))


@dataclass(frozen=True, eq=False)
class PooledSample:
    """The images of a sample together.

    Attributes:
        name: of the sample.
        images: how many there are.
        droplets: how many they have together, the sum of their counts' medians.
        area: that was looked at, in mm2, or Mpx where lengths are in px.
        unit: of lengths, "um" or "px".
        values: draws of ``number_per_area``, the mean over all images that could have been taken, and of each size that
            is determined, that of the typical image: by name, (D,).
        spread: draws of how far images of the sample differ, relative to that: by name, (D,).
    """

    name: str
    images: int
    droplets: int
    area: float
    unit: str
    values: Mapping[str, Float64[Array, " draws"]]
    spread: Mapping[str, Float64[Array, " draws"]]


@dataclass(frozen=True, eq=False)
class Difference:
    """How a statistic of one sample differs from that of another.

    Attributes:
        of, to: names of the samples: ``of`` less, or over, ``to``.
        statistic: its name.
        difference: in the unit of the statistic.
        ratio: without unit.
        probability_larger: that it is larger in ``of`` than in ``to``.
    """

    of: str
    to: str
    statistic: str
    difference: Interval
    ratio: Interval
    probability_larger: float


def differences(of: PooledSample, to: PooledSample) -> list[Difference]:
    """How each statistic that both samples have differs; their draws are independent of each other."""
    return [
        Difference(
            of.name,
            to.name,
            name,
            Interval.of(of.values[name] - to.values[name]),
            Interval.of(of.values[name] / to.values[name]),
            float((of.values[name] > to.values[name]).mean()),
        )
        for name in of.values
        if name in to.values
    ]


def unit_of(statistic: str, unit: str) -> str:
    """The unit of a statistic, where lengths have this one; "" for none."""
    if statistic == NUMBER:
        return f"1/{AREAS[unit]}"
    return "" if statistic in WITHOUT_UNIT else unit
