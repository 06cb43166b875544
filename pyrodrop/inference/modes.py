"""From a mode to a higher one: short runs of a sampler around the mode, and climbs from where they end.

A posterior of many numbers can have several modes that a climb alone does not tell apart. Chains that leave the mode
for a higher one say so; chains that stay say only that no higher one is near.
"""

from typing import NamedTuple

from torch import Tensor

from pyrodrop.inference.around.split_hmc import SplitHMC
from pyrodrop.inference.climb import Slope, climb
from pyrodrop.inference.laplace import Laplace, around_mode
from pyrodrop.inference.whitening import Whitened

# Two climbs whose ends differ by less than this in log density have ended at the same height.
_HIGHER = 0.5


class Search(NamedTuple):
    """What a search for higher modes found: the approximation around the highest, and how far each round rose."""

    laplace: Laplace
    rises: tuple[float, ...]


def search_higher(
    approximation: Laplace, *, num_chains: int = 4, iterations: int = 100, rounds: int = 5, seed: int = 0
) -> Search:
    """Look for a higher mode than the one given.

    Each round runs chains from draws of the approximation, which is also their mass matrix, climbs from the last
    position of each and goes on from the highest end; it stops when no end is higher by more than 0.5.

    Args:
        approximation: around the mode to start from.
        num_chains, iterations: of each round.
        rounds: the largest number of rounds; 0 gives back that approximation.
        seed: of the chains.
    """
    rises: list[float] = []
    slope = Slope(approximation.density)
    for number in range(rounds):
        ends = [
            climb(slope, z, approximation.factor) for z in _wander(approximation, num_chains, iterations, seed + number)
        ]
        heights = [slope.at(end)[0] for end in ends]
        best = max(range(num_chains), key=heights.__getitem__)
        if not heights[best] > approximation.value + _HIGHER:
            break
        higher = around_mode(approximation.density, ends[best], approximation.precision.diagonal().abs().rsqrt())
        rises.append(higher.value - approximation.value)
        approximation = higher
    return Search(approximation, tuple(rises))


def _wander(approximation: Laplace, num_chains: int, iterations: int, seed: int) -> Tensor:
    """Where chains are after so many iterations around the mode, (num_chains, D)."""
    around = Whitened(approximation.density, approximation.mode, approximation.factor)
    start = around.whitened(approximation.positions(num_chains, seed))
    chains = SplitHMC(around, start, iterations, seed=seed)
    for _ in range(iterations):
        chains()
    return chains.z
