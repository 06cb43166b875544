"""Seams between tiles: a droplet that two tiles saw is reported once, and one on the very line is not lost.

Every tile measures with a halo, and reports also droplets a little beyond its own pixels. So a droplet near a seam
comes from two tiles, near a corner from four, and their estimates of its centre differ by what their pixels differ
in, far from it. Whoever trusted each tile about its own side would count a droplet twice that each puts on its own
side, and lose one that each puts on the other's.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.spatial import cKDTree

# Two estimates are of one droplet if their centres are no further apart than this share of the smaller radius,
_NEARER = 0.5
# or than so many standard deviations of their distance, but in no case further than the smaller radius.
_DEVIATIONS = 4.0


class Estimates(NamedTuple):
    """The droplets that all tiles report within and near them.

    x, y, radius: in px of the whole image. spread: standard deviation of the centre along one axis, px. tile: number
    of the tile that reports it. depth: how far within that tile the centre lies in px, negative outside of it. own:
    whether it is that tile's own. presence: probability that there is such a droplet, as the tile has it.
    """

    x: Float[ndarray, " n"]
    y: Float[ndarray, " n"]
    radius: Float[ndarray, " n"]
    spread: Float[ndarray, " n"]
    tile: Int[ndarray, " n"]
    depth: Float[ndarray, " n"]
    own: Bool[ndarray, " n"]
    presence: Float[ndarray, " n"]


def reconciled(estimates: Estimates) -> Bool[ndarray, " n"]:
    """Which of the estimates to keep: exactly one of each droplet.

    Estimates of different tiles that are most alike are of one droplet, one a tile at most. Of those the one
    is kept that lies deepest within its tile, which has seen most of what is around the droplet. An estimate
    without a partner is kept where its tile owns it; outside of its tile only if it lies no further out than it is
    uncertain and nothing that is kept is there already, for then the tile beyond may have left it to this one.
    """
    partners = _groups(estimates)
    # Deepest first; of equals the lower number of a tile.
    order = np.lexsort((estimates.tile, -estimates.depth))
    keep = np.zeros(len(estimates.x), bool)
    done: set[int] = set()
    several = np.bincount(partners, minlength=len(estimates.x))[partners] > 1
    for k in order[several[order]]:
        if partners[k] not in done:
            done.add(int(partners[k]))
            keep[k] = True
    keep |= ~several & estimates.own
    stray = np.flatnonzero(~several & ~estimates.own & (estimates.depth > -_DEVIATIONS * estimates.spread))
    if not len(stray):
        return keep
    stray = stray[np.argsort(-estimates.depth[stray], kind="stable")]
    centres = np.stack([estimates.x, estimates.y], 1)
    # No two droplets that are compared lie further apart than the larger radius, so than the largest of all.
    around = cKDTree(centres).query_ball_point(centres[stray], float(estimates.radius.max()))
    for k, near in zip(stray, around, strict=True):
        apart = np.hypot(*(centres[near] - centres[k]).T)
        keep[k] = not (keep[near] & (apart < np.maximum(estimates.radius[near], estimates.radius[k]))).any()
    return keep


def _groups(estimates: Estimates) -> Int[ndarray, " n"]:
    """A number for each estimate, the same for those of one droplet: pairs are joined, the most alike first.

    Two are alike by their places, radii and presences: an afterthought may lie nearer to the other tile's droplet than
    this tile's own droplet does.
    """
    label = np.arange(len(estimates.x))
    if len(label) < 2:
        return label
    centres = np.stack([estimates.x, estimates.y], 1)
    pairs = cKDTree(centres).query_pairs(float(estimates.radius.max()), output_type="ndarray")
    pairs = pairs[estimates.tile[pairs[:, 0]] != estimates.tile[pairs[:, 1]]]
    first, second = pairs.T
    apart = np.hypot(*(centres[first] - centres[second]).T)
    radius = np.minimum(estimates.radius[first], estimates.radius[second])
    certain = _DEVIATIONS * np.hypot(estimates.spread[first], estimates.spread[second])
    near = apart <= np.minimum(np.maximum(_NEARER * radius, certain), radius)
    unlike = apart / radius + np.abs(np.log(estimates.radius[first] / estimates.radius[second]))
    unlike += np.abs(estimates.presence[first] - estimates.presence[second])
    members: dict[int, dict[int, int]] = {}  # of a group: its estimates by tile
    for k in np.flatnonzero(near)[np.argsort(unlike[near], kind="stable")]:
        a, b = int(label[first[k]]), int(label[second[k]])
        of_a, of_b = members.get(a, {int(estimates.tile[a]): a}), members.get(b, {int(estimates.tile[b]): b})
        if a != b and not of_a.keys() & of_b.keys():
            members[a] = of_a | of_b
            for k_b in of_b.values():
                label[k_b] = a
    return label
