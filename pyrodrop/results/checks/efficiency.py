"""How much of what looks like a droplet is one, by parts of the image: where that is little, nothing known fits there.

The network proposes, and the joint model weighs: the mean weight of the proposals is the efficiency of the proposing,
as the share of draws that are accepted is that of a rejection sampler (Robert and Casella, *Monte Carlo Statistical
Methods*, 2004, section 2.3). On droplets of a look that was simulated most proposals come out as good as sure. In a
texture, a crowd of another kind or a look that neither the network nor the model has seen, both waver over most of
them: what is counted there is a guess, and its interval wide.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Parts along each side of the image; one with fewer candidates says too little.
_PARTS, _LEAST_CANDIDATES = 4, 10
# Where fewer than every other candidate is a droplet, the opposite of what is said is the likelier for most.
_LOW = 0.5
_NAMED = 3  # parts in a warning, the others are counted


class Part(NamedTuple):
    """A part of the image: its pixels from left, top to right, bottom, how many candidates it has, and their share."""

    left: int
    top: int
    right: int
    bottom: int
    candidates: int
    efficiency: float


class Efficiency(NamedTuple):
    """Of the candidates of an image, and of its parts.

    whole: the mean presence of all, None where there are none. unlike: the parts where it is under a half.
    """

    whole: float | None
    unlike: tuple[Part, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """In words, which parts are unlike anything known; empty where none is."""
        if not self.unlike:
            return ()
        named = ", ".join(f"x {p.left} to {p.right} y {p.top} to {p.bottom}" for p in self.unlike[:_NAMED])
        more = f" and {len(self.unlike) - _NAMED} more parts" if len(self.unlike) > _NAMED else ""
        candidates = sum(p.candidates for p in self.unlike)
        share = sum(p.candidates * p.efficiency for p in self.unlike) / candidates
        return (
            f"of {candidates} things that look like droplets in {named} px{more}, about {share:.0%} are: what is there "
            "is unlike anything that the network or the model knows, and the count there is a guess; look at the "
            "overlay, or teach the network with pyrodrop learn",
        )

    def as_dict(self) -> dict[str, object]:
        """For summary.json."""
        return {"whole": self.whole, "unlike_anything_known": [part._asdict() for part in self.unlike]}


def efficiency_of(x: Array, y: Array, presence: Array, size: tuple[int, int]) -> Efficiency:
    """Efficiency of N candidates.

    Args:
        x, y: their centres in px, (N,).
        presence: the probability of each, (N,).
        size: height and width of the image in px.
    """
    if not len(x):
        return Efficiency(None, ())
    height, width = size
    columns = np.clip((x + 0.5) * _PARTS / width, 0, _PARTS - 1).astype(int)
    rows = np.clip((y + 0.5) * _PARTS / height, 0, _PARTS - 1).astype(int)
    unlike = []
    for row in range(_PARTS):
        for column in range(_PARTS):
            here = presence[(rows == row) & (columns == column)]
            if len(here) >= _LEAST_CANDIDATES and here.mean() < _LOW:
                left, right = (width * side // _PARTS for side in (column, column + 1))
                top, bottom = (height * side // _PARTS for side in (row, row + 1))
                unlike.append(Part(left, top, right, bottom, len(here), round(float(here.mean()), 4)))
    return Efficiency(round(float(presence.mean()), 4), tuple(unlike))
