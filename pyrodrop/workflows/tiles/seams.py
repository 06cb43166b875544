"""Seams between tiles: what two tiles saw is told once, and what lies on the very line is not lost.

Every tile measures with a halo, and tells also of droplets a little beyond its own pixels. So a droplet near a seam
comes from two tiles, near a corner from four, and their estimates of its centre differ by what their pictures differ
in, far from it. Whoever trusted each tile about its own side would count a droplet twice that each puts on its own
side, and lose one that each puts on the other's.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Array = NDArray[np.float64]

# Two estimates are of one droplet if their centres are no further apart than this share of the smaller radius,
_NEARER = 0.5
# or than so many standard deviations of their distance, but in no case further than the smaller radius.
_DEVIATIONS = 4.0


class Seen(NamedTuple):
    """What all tiles have seen near and within them, N estimates.

    x, y, radius: in px of the whole image, (N,). spread: standard deviation of the centre along one axis, (N,).
    tile: number of the tile that says so, (N,). depth: how far within that tile the centre lies, negative outside of
    it, (N,). own: whether it is that tile's own, (N,).
    """

    x: Array
    y: Array
    radius: Array
    spread: Array
    tile: NDArray[np.int64]
    depth: Array
    own: NDArray[np.bool_]


def reconciled(seen: Seen) -> NDArray[np.bool_]:
    """Which of the estimates to keep, (N,): exactly one of each droplet.

    Estimates of different tiles that are nearest to each other are of one droplet, one a tile at most. Of those the one
    is kept that lies deepest within its tile, which has seen most of what is around the droplet. An estimate
    without a partner is kept where its tile owns it; outside of its tile only if it lies no further out than it is
    uncertain and nothing that is kept is there already, for then the tile beyond may have left it to this one.
    """
    partners = _groups(seen)
    # Deepest first; of equals the lower number of a tile.
    order = np.lexsort((seen.tile, -seen.depth))
    kept = np.zeros(len(seen.x), bool)
    done: set[int] = set()
    several = np.bincount(partners, minlength=len(seen.x))[partners] > 1
    for k in order[several[order]]:
        if partners[k] not in done:
            done.add(int(partners[k]))
            kept[k] = True
    kept |= ~several & seen.own
    stray = np.flatnonzero(~several & ~seen.own & (seen.depth > -_DEVIATIONS * seen.spread))
    if not len(stray):
        return kept
    stray = stray[np.argsort(-seen.depth[stray], kind="stable")]
    centres = np.stack([seen.x, seen.y], 1)
    # No two droplets that are compared lie further apart than the larger radius, so than the largest of all.
    around = cKDTree(centres).query_ball_point(centres[stray], float(seen.radius.max()))
    for k, near in zip(stray, around, strict=True):
        apart = np.hypot(*(centres[near] - centres[k]).T)
        kept[k] = not (kept[near] & (apart < np.maximum(seen.radius[near], seen.radius[k]))).any()
    return kept


def _groups(seen: Seen) -> NDArray[np.int64]:
    """A number for each estimate, (N,), the same for those of one droplet: pairs are joined, the nearest first."""
    label = np.arange(len(seen.x))
    if len(label) < 2:
        return label
    centres = np.stack([seen.x, seen.y], 1)
    pairs = cKDTree(centres).query_pairs(float(seen.radius.max()), output_type="ndarray")
    pairs = pairs[seen.tile[pairs[:, 0]] != seen.tile[pairs[:, 1]]]
    first, second = pairs.T
    apart = np.hypot(*(centres[first] - centres[second]).T)
    radius = np.minimum(seen.radius[first], seen.radius[second])
    certain = _DEVIATIONS * np.hypot(seen.spread[first], seen.spread[second])
    near = apart <= np.minimum(np.maximum(_NEARER * radius, certain), radius)
    members: dict[int, dict[int, int]] = {}  # of a group: its estimates by tile
    for k in np.flatnonzero(near)[np.argsort(apart[near], kind="stable")]:
        a, b = int(label[first[k]]), int(label[second[k]])
        of_a, of_b = members.get(a, {int(seen.tile[a]): a}), members.get(b, {int(seen.tile[b]): b})
        if a != b and not of_a.keys() & of_b.keys():
            members[a] = of_a | of_b
            for k_b in of_b.values():
                label[k_b] = a
    return label
