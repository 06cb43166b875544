"""From what the network says of each cell of its grids to circles, each once.

Cells near each other often speak of one droplet: a centre between two cells, a radius between two bins. Their
probabilities sum to the expected number of droplets there, so a peak takes up all that is said of its circle, and the
sum is its presence. Two cells speak of one circle if their radii differ by less than a factor of 1.4 and their centres
by less than half the smaller radius. Where the radius or the centre is not known well, that is not all: peaks whose
radii differ by less than a factor of 2, and whose centres by less than two standard deviations more than half the
smaller radius, are alternatives if together they are at most one droplet, and are summed, too. Two circles of which
both are likely stay two, however near they are: a droplet and what is in it.
"""

import math
from typing import NamedTuple

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from pyrodrop.detection.network.architecture import CellOutputs, bounded_log_scale
from pyrodrop.detection.network.cells import BIN_WIDTH, BINS_PER_LEVEL, STRIDES, bin_centre, cell_centre

LEAST_CELL = 0.003  # probability under which a cell is not looked at: the base rate of training
SAME_CENTRE = 0.5  # of the smaller radius
SAME_LOG_RADIUS = BIN_WIDTH
ALTERNATIVE_LOG_RADIUS = math.log(2.0)
ALTERNATIVE_SD = 2.0  # of the distance of two centres
STUDENT_SD = math.sqrt(5 / 3)  # standard deviation of Student's t of 5 degrees of freedom, over its scale

Floats = NDArray[np.float64]


class Cells(NamedTuple):
    """What single cells say, (n,) each, lengths in px."""

    presence: Floats
    x: Floats
    y: Floats
    log_radius: Floats
    centre_sd: Floats
    log_radius_sd: Floats
    ellipse_cos: Floats
    ellipse_sin: Floats
    brightness: Floats  # probability of being brighter than the surroundings


def cells_of(outputs: CellOutputs, level: int, image: int = 0, row: int = 0, column: int = 0) -> Cells:
    """The cells of a level of an image that say something; row, column: of the first cell in the whole image."""
    probability = outputs.logit[image].sigmoid()
    b, r, c = (probability > LEAST_CELL).nonzero(as_tuple=True)
    stride = STRIDES[level]
    offset = outputs.offset[image, :, b, r, c]
    scale = bounded_log_scale(outputs.log_scale[image, :, b, r, c].T).exp().T * STUDENT_SD
    ellipse = outputs.ellipse[image, :, b, r, c]
    columns: list[Tensor] = [
        probability[b, r, c],
        cell_centre(c + column, stride) + stride * offset[0],
        cell_centre(r + row, stride) + stride * offset[1],
        bin_centre(b + level * BINS_PER_LEVEL) + outputs.log_radius[image, b, r, c],
        stride * scale[0],
        scale[1],
        ellipse[0],
        ellipse[1],
        outputs.brightness[image, b, r, c].sigmoid(),
    ]
    # In one piece: a device is waited for each time that something is brought from it.
    return Cells(*torch.stack([column.double() for column in columns]).cpu().numpy())


def joined(parts: list[Cells]) -> Cells:
    """The cells of several levels, tiles or scales; none, where there are no such parts."""
    none = Cells(*[np.zeros(0)] * len(Cells._fields))
    return Cells(*(np.concatenate(columns) for columns in zip(none, *parts, strict=True)))


class Pairs(NamedTuple):
    """Pairs of circles, (m,) each."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    nearness: Floats  # 1 for equal circles, 0 for those that are no pair any more


def neighbours(cells: Cells, log_radius: float = SAME_LOG_RADIUS, sds: float = 0.0) -> Pairs:
    """Pairs i < j of circles that may be one circle.

    log_radius: by which their log radii may differ, at most log 2. sds: by how many standard deviations of their
    distance the centres may be further apart than half the smaller radius.
    """
    octave = np.floor(cells.log_radius / math.log(2.0)).astype(int)
    parts = [Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))]
    for k in np.unique(octave):
        # Pairs whose smaller radius is of octave k: the other is of the same octave or the next.
        members = np.nonzero((octave == k) | (octave == k + 1))[0]
        furthest = SAME_CENTRE * 2.0 ** (k + 1) + sds * math.sqrt(2) * cells.centre_sd[members].max()
        tree = cKDTree(np.stack([cells.x[members], cells.y[members]], 1))
        i, j = members[tree.query_pairs(furthest, output_type="ndarray").reshape(-1, 2).T]
        least = np.minimum(cells.log_radius[i], cells.log_radius[j])
        limit = SAME_CENTRE * np.exp(least) + sds * np.hypot(cells.centre_sd[i], cells.centre_sd[j])
        apart = np.hypot(cells.x[i] - cells.x[j], cells.y[i] - cells.y[j]) / limit
        unlike = np.abs(cells.log_radius[i] - cells.log_radius[j]) / log_radius
        near = (np.minimum(octave[i], octave[j]) == k) & (apart < 1) & (unlike < 1)
        nearness = (1 - apart**2) * (1 - unlike**2)
        parts.append(Pairs(np.minimum(i, j)[near], np.maximum(i, j)[near], nearness[near]))
    return Pairs(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


class _Lists(NamedTuple):
    """The neighbours of each circle, the nearest first: those of i are others[starts[i] : starts[i + 1]]."""

    starts: NDArray[np.int64]
    others: NDArray[np.int64]
    nearness: Floats


@numba.njit(cache=True, error_model="numpy")
def _sorted_lists(
    first: NDArray[np.int64], second: NDArray[np.int64], nearness: Floats, n: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """Of pairs of n circles the neighbours of each, see `_Lists`; of equally near ones the first comes first."""
    starts = np.zeros(n + 1, np.int64)
    for k in range(first.shape[0]):
        starts[first[k] + 1] += 1
        starts[second[k] + 1] += 1
    starts = np.cumsum(starts)
    end = starts[:-1].copy()
    others, near = np.empty(starts[n], np.int64), np.empty(starts[n])
    for k in range(first.shape[0]):
        for i, j in ((first[k], second[k]), (second[k], first[k])):
            # Each is put into its place among those that are there: lists are short.
            at = end[i]
            end[i] += 1
            while at > starts[i] and (
                near[at - 1] < nearness[k] or (near[at - 1] == nearness[k] and others[at - 1] > j)
            ):
                near[at], others[at] = near[at - 1], others[at - 1]
                at -= 1
            near[at], others[at] = nearness[k], j
    return starts, others, near


def _lists(pairs: Pairs, n: int) -> _Lists:
    return _Lists(*_sorted_lists(*pairs, n))


@numba.njit(cache=True, error_model="numpy")
def _owners(
    order: NDArray[np.int64], starts: NDArray[np.int64], others: NDArray[np.int64], nearness: Floats
) -> NDArray[np.int64]:
    """The peak that each cell belongs to: its own number for a peak.

    order: cells by falling mass. starts, others: the neighbours of each cell. nearness: of each neighbour.
    """
    n = order.shape[0]
    owner = np.full(n, -1, np.int64)
    is_peak = np.zeros(n, np.bool_)
    for i in order:
        if owner[i] >= 0:
            continue
        owner[i] = i
        is_peak[i] = True
        for k in range(starts[i], starts[i + 1]):
            if owner[others[k]] < 0:
                owner[others[k]] = i
    for i in range(n):
        if is_peak[i]:
            continue
        best = -1.0
        for k in range(starts[i], starts[i + 1]):
            if is_peak[others[k]] and nearness[k] > best:
                best = nearness[k]
                owner[i] = others[k]
    return owner


@numba.njit(cache=True, error_model="numpy")
def _alternatives(presence: Floats, starts: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.int64]:
    """The peak that each peak is an alternative of, the likeliest first; together they are at most one droplet."""
    n = presence.shape[0]
    owner = np.full(n, -1, np.int64)
    for i in range(n):
        if owner[i] >= 0:
            continue
        owner[i] = i
        total = presence[i]
        for k in range(starts[i], starts[i + 1]):
            j = others[k]
            if owner[j] < 0 and total + presence[j] <= 1.0:
                total += presence[j]
                owner[j] = i
    return owner


def peaks(cells: Cells) -> Cells:
    """One entry for each circle, with the presence of all cells that speak of it, at most 1; the likeliest first."""
    if len(cells.presence) == 0:
        return cells
    pairs = neighbours(cells)
    n = len(cells.presence)
    mass = cells.presence + np.bincount(pairs.first, pairs.nearness * cells.presence[pairs.second], n)
    mass += np.bincount(pairs.second, pairs.nearness * cells.presence[pairs.first], n)
    lists = _lists(pairs, n)
    result = _summed(cells, _owners(np.argsort(-mass, kind="stable"), *lists))
    lists = _lists(neighbours(result, ALTERNATIVE_LOG_RADIUS, ALTERNATIVE_SD), len(result.presence))
    return _summed(result, _alternatives(result.presence, lists.starts, lists.others))


def _summed(cells: Cells, owner: NDArray[np.int64]) -> Cells:
    """The means of the cells of each owner, weighed by their probability; variances within and between add up."""
    _, group = np.unique(owner, return_inverse=True)
    total = np.bincount(group, cells.presence)

    def mean(values: Floats) -> Floats:
        return np.bincount(group, cells.presence * values) / total

    x, y, log_radius = mean(cells.x), mean(cells.y), mean(cells.log_radius)
    between = ((cells.x - x[group]) ** 2 + (cells.y - y[group]) ** 2) / 2
    result = Cells(
        np.minimum(total, 1.0),
        x,
        y,
        log_radius,
        np.sqrt(mean(cells.centre_sd**2 + between)),
        np.sqrt(mean(cells.log_radius_sd**2 + (cells.log_radius - log_radius[group]) ** 2)),
        mean(cells.ellipse_cos),
        mean(cells.ellipse_sin),
        mean(cells.brightness),
    )
    order = np.lexsort((result.x, result.y, -result.presence))
    return Cells(*(column[order] for column in result))
