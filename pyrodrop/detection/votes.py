"""Edges vote for the centres of circles: a Hough transform in which an edge knows where its circle's centre lies.

An edge on a circle of radius r has its centre r away along its gradient: uphill if the droplet is bright, downhill if
it is dark (Loy and Zelinsky, Fast radial symmetry for detecting points of interest, 2003).
"""

import math
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from pyrodrop.detection.edges import Level, thin_edges
from pyrodrop.pursuit.refine import Doubles, Floats, compiled

# Radii in samples of a level. A circle of less than 3 is hardly more than the smoothing; 12 is twice what the next
# level begins with, so that sharp rims are seen by the finer of two levels and rough ones by the coarser.
LEAST, MOST = 3.0, 12.0
SMALLEST = 1.4  # samples, at the finest level only: a point smoothed by a Gaussian of one sample has its rim at 1
RATIO = 1.15  # from one radius to the next: votes are pooled over this much, as far as a near-circle's rim strays
POOL = 0.12  # standard deviation of the pooling of votes in radii: with RATIO, an aspect of 1.25 still pools
SURENESS = 3.0  # standard deviations of noise at which an edge has half a vote
ENOUGH = 0.2  # of a circle's votes make it worth a look: neighbours may hide half a rim, and an oval scatters half


class Proposals(NamedTuple):
    """Circles in px that edges voted for: x, y, r, sign (+1 bright, -1 dark) and share of the rim that voted."""

    x: Doubles
    y: Doubles
    r: Doubles
    sign: Doubles
    share: Doubles


def propose(levels: list[Level]) -> Proposals:
    """The circles that the edges of all levels vote for, of both signs and any radius."""
    rows = [row for level in levels for sign in (1.0, -1.0) for row in _level_proposals(level, sign)]
    table = np.array(rows).reshape(-1, 5)
    return Proposals(*table.T)


def _level_proposals(level: Level, sign: float) -> list[tuple[float, ...]]:
    first = SMALLEST if level.step == 1 else LEAST
    radii = first * RATIO ** np.arange(1 + math.ceil(math.log(MOST / first) / math.log(RATIO)))
    edges = thin_edges(level.gx, level.gy, level.noise, SURENESS)
    rows: list[tuple[float, ...]] = []
    below = here = np.zeros_like(level.values)
    # One radius more than there are, so that the last one has its turn between two.
    for k in range(len(radii) + 1):
        above = _shares(edges, sign, radii[k], level.values.shape) if k < len(radii) else np.zeros_like(here)
        if k > 0:
            tops = (here == ndimage.maximum_filter(here, 3)) & (here > ENOUGH)
            for j, i in zip(*np.nonzero(tops), strict=True):
                window = slice(max(j - 1, 0), j + 2), slice(max(i - 1, 0), i + 2)
                if here[j, i] >= max(below[window].max(), above[window].max()):
                    rows.append((level.step * i, level.step * j, level.step * radii[k - 1], sign, float(here[j, i])))
        below, here = here, above
    return rows


def _shares(edges: Doubles, sign: float, r: float, size: tuple[int, ...]) -> Floats:
    """The share (h, w) of a circle's rim that votes for each sample as the centre of a circle of radius r."""
    sd = max(POOL * r, 0.7)  # a vote is placed on the nearest sample: 0.7 pools over that
    ballots = np.zeros(size, np.float32)
    vote(edges, sign * r, ballots)
    # The 2 pi r votes of a full circle, spread over 2 pi sd^2 samples
    shares: Floats = ndimage.gaussian_filter(ballots, sd, mode="constant", truncate=3.0)
    shares *= np.float32(sd * sd / r)
    return shares


@compiled
def vote(edges: Doubles, reach: float, ballots: Floats) -> None:
    """Add every edge's weight to the sample that lies ``reach`` along its gradient."""
    h, w = ballots.shape
    for k in range(edges.shape[0]):
        i = math.floor(edges[k, 0] + reach * edges[k, 2] + 0.5)
        j = math.floor(edges[k, 1] + reach * edges[k, 3] + 0.5)
        if 0 <= i < w and 0 <= j < h:
            ballots[j, i] += edges[k, 4]
