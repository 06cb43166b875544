"""Which circles explain the edges of an image together: each edge belongs to one droplet, no droplet to another's.

A circle is worth its length times the strength of its rim, less the more of the rim is missing or astray. The set of
circles is packed greedily by worth; a circle that keeps out several others, which together are worth more, gives
way to them.
"""

import numpy as np
import numpy.typing as npt

from pyrodrop.detection.circles import RAYS, Circles
from pyrodrop.pursuit.refine import Doubles, Integers, compiled

RIM = 0.5  # least share of the rim: with less, an arc of any clutter would be a circle
OWN = 0.3  # least share of the rim that no other droplet explains
CERTAINTY = 2.5  # standard deviations of noise of the median ray: what noise alone reaches on one ray in three
SEEN = 0.3  # least share of the rim inside the image: what is seen of a droplet whose centre is on the border is half
STRAY = 0.1  # misfit in radii that costs a circle a factor e: ten times the misfit of a sharp rim
OVALITY = 0.2  # oval that costs a factor e: an axis ratio of 2 to 3
TOLERANCE = 0.2  # radii within which a rim owns edges, as in finder_circles.REACH


def roundness(circles: Circles) -> Doubles:
    """Log of how much of a circle each is (n,): 0 for a whole and faultless rim."""
    doubt = (circles.misfit / STRAY) ** 2 + (circles.oval / OVALITY) ** 2
    rim: Doubles = 4.0 * np.log(np.maximum(circles.rim, 1.0 / RAYS)) - doubt
    return rim


def worth(circles: Circles) -> Doubles:
    """What each circle explains, (n,), in units of the image times px."""
    explained: Doubles = circles.strength * circles.r * np.exp(roundness(circles))
    return explained


def select(circles: Circles) -> tuple[npt.NDArray[np.int64], Doubles]:
    """The circles that are droplets of their own: their indices (m,), by worth, and the share of rim they own."""
    worths = worth(circles)
    fit = (circles.rim >= RIM) & (circles.certainty >= CERTAINTY) & (circles.seen >= SEEN)
    order = np.flatnonzero(fit)
    order = order[np.argsort(-worths[order], kind="stable")]
    table = np.stack([circles.x, circles.y, circles.r, circles.sign], 1)[order]
    rays, gains = np.ascontiguousarray(circles.rays[order]), worths[order]
    # 0 undecided, 1 in, -1 out
    state, own = np.zeros(len(order), np.int64), np.zeros(len(order))
    pack(table, rays, state, own)
    exchange(table, rays, gains, state, own)
    kept = state == 1
    return order[kept], own[kept]


@compiled
def pack(table: Doubles, rays: Doubles, state: Integers, own: Doubles) -> None:
    """Let in, from the worthiest on, every undecided circle that the circles already in leave room and rim for."""
    for k in range(table.shape[0]):
        if state[k] == 0:
            own[k] = share_owned(table, rays, state, k)
            state[k] = 1 if own[k] >= OWN else -1


@compiled
def share_owned(table: Doubles, rays: Doubles, state: Integers, k: int) -> float:
    """The share of circle k's rim that is its own beside the circles that are in; -1 if one of them shuts it out."""
    x, y, r, sign = table[k, 0], table[k, 1], table[k, 2], table[k, 3]
    claimed = np.zeros(RAYS, np.bool_)
    for m in range(table.shape[0]):
        if state[m] != 1 or m == k:
            continue
        dx, dy = table[m, 0] - x, table[m, 1] - y
        d2, other = dx * dx + dy * dy, table[m, 2]
        if d2 > (1.3 * (r + other) + 2.0) ** 2:
            continue
        if shuts_out(d2, r, other):
            return -1.0
        tolerance = TOLERANCE * min(r, other) + 1.0
        for t in range(RAYS):
            if rays[k, t] <= 0.0 or claimed[t]:
                continue
            c, s = np.cos(2.0 * np.pi * t / RAYS), np.sin(2.0 * np.pi * t / RAYS)
            ex, ey = rays[k, t] * c - dx, rays[k, t] * s - dy
            d = np.sqrt(ex * ex + ey * ey) + 1e-9
            # The same edge, if it lies on both rims and rises the same way across both.
            if abs(d - other) < tolerance and sign * table[m, 3] * (ex * c + ey * s) / d > 0.5:
                claimed[t] = True
    owned, inside = 0, 0
    for t in range(RAYS):
        inside += rays[k, t] >= 0.0
        owned += rays[k, t] > 0.0 and not claimed[t]
    return owned / max(inside, 1)


@compiled
def shuts_out(squared_distance: float, r: float, other: float) -> bool:
    """Whether of two circles one lies in the other so far that they are two views of one thing."""
    return squared_distance < (max(r, other) - 0.4 * min(r, other)) ** 2


@compiled
def exchange(table: Doubles, rays: Doubles, gains: Doubles, state: Integers, own: Doubles) -> None:
    """Replace a circle by those that it keeps out, wherever all together are then worth more.

    The worth of a set is the sum of its circles' worths, each times the share of the rim that is the circle's own.
    """
    n = table.shape[0]
    trial = np.empty(n, np.int64)
    for k in range(n):
        if state[k] != 1:
            continue
        x, y, r = table[k, 0], table[k, 1], table[k, 2]
        trial[:] = state
        trial[k] = -1
        rivals = 0
        for m in range(n):
            if state[m] == -1 and m != k:
                reach = r + 1.3 * table[m, 2]
                if table[m, 2] < r and (table[m, 0] - x) ** 2 + (table[m, 1] - y) ** 2 < reach**2:
                    trial[m] = 0
                    rivals += 1
        if rivals == 0:
            continue
        pack(table, rays, trial, own)
        if value_near(table, rays, gains, trial, x, y, r) > value_near(table, rays, gains, state, x, y, r):
            state[:] = trial
    for m in range(n):
        if state[m] == 1:
            own[m] = share_owned(table, rays, state, m)


@compiled
def value_near(table: Doubles, rays: Doubles, gains: Doubles, state: Integers, x: float, y: float, r: float) -> float:
    """Worth of the set within the reach of a circle that came or went."""
    value = 0.0
    for m in range(table.shape[0]):
        if state[m] == 1:
            reach = 1.5 * (r + table[m, 2]) + r + 2.0
            if (table[m, 0] - x) ** 2 + (table[m, 1] - y) ** 2 < reach**2:
                value += gains[m] * max(share_owned(table, rays, state, m), 0.0)
    return value
