"""Kinds of droplets as a result: of each kind how many there are and how large, with intervals."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrodrop.results.statistics.counts import Count
from pyrodrop.results.statistics.sizes import Sizes

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Kind:
    """One kind of droplets.

    Attributes:
        number: its number, from 1, the kind with the most droplets first.
        count: how many there are, as a distribution.
        sizes: how large they are.
        radius_px: typical radius, the centre of the kind.
        amplitude: typical amplitude in each channel, (C,).
    """

    number: int
    count: Count
    sizes: Sizes
    radius_px: float
    amplitude: Array

    def as_dict(self) -> dict[str, Any]:
        """What ``summary.json`` says of it."""
        return {
            "kind": self.number,
            "count": self.count.as_dict(),
            "sizes": self.sizes.as_dict() | {"unit": self.sizes.unit},
            "radius_px": self.radius_px,
            "amplitude": self.amplitude.tolist(),
        }


@dataclass(frozen=True, eq=False)
class Kinds:
    """The kinds of an image's droplets; ``len`` is how many there are, and ``kinds[0]`` the one with the most droplets.

    Attributes:
        each: the kinds, K of them.
        probability: that each droplet, if it is one, is of each kind, (N, K), rows adding up to one.
    """

    each: tuple[Kind, ...]
    probability: Array

    def __len__(self) -> int:
        return len(self.each)

    def __iter__(self) -> Iterator[Kind]:
        return iter(self.each)

    def __getitem__(self, place: int) -> Kind:
        return self.each[place]

    @property
    def of_droplets(self) -> NDArray[np.int64]:
        """Number of the most probable kind of each droplet, (N,), from 1; 0 where there are no kinds."""
        if not self.each:
            return np.zeros(len(self.probability), dtype=np.int64)
        return np.asarray(self.probability.argmax(1) + 1, dtype=np.int64)

    def as_dicts(self) -> list[dict[str, Any]]:
        """What ``summary.json`` says of them."""
        return [kind.as_dict() for kind in self.each]

    def __repr__(self) -> str:
        lines = []
        for kind in self.each:
            low, middle, high = (kind.count.quantile(level) for level in (0.05, 0.5, 0.95))
            lines.append(f"  kind {kind.number}: {middle} ({low} to {high}) droplets, radius {kind.radius_px:.3g} px")
        return "\n".join([f"Kinds: {len(self)}", *lines])
