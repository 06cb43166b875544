"""A proposed circle held against the image: where its rim lies on every ray, and how much of a rim there is.

What is fitted may be a little oval, since few droplets are perfect circles: along the ray at angle t the rim of a
droplet of radius r lies at r (1 + p cos 2t + q sin 2t) from its centre. The oval's area is that of the circle up
to the square of p and q.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pyrodrop.detection.edges import Level, between
from pyrodrop.pursuit.refine import Doubles, Floats, compiled

RAYS = 48  # a circle of 8 samples has 48 independent samples on its rim; the largest fitted has twice that
ROUNDS = 5  # of Gauss-Newton: the window narrows in the third, two more let it settle
WINDOW = 0.3, 0.2  # standard deviation of the window for edges along a ray in radii, in the first two rounds and after
REACH = 0.2  # distance from the rim in radii within which an edge is the rim's
FINENESS = 2.5, 5.0  # samples of a level in the radii fitted there, up to twice that: most rims are told best by the
# second, smoothed by a fifth to a tenth of r; a soft one in noise by the first
CLEAR = 6.0  # standard deviations of noise of the median ray with which a rim needs no more smoothing
SIGNIFICANT = 3.0  # standard deviations of noise that make an edge: the steepest of the 6 or so places that a
# ray tries exceeds them by chance in one ray of a hundred
OVAL = 0.15  # standard deviation a priori of p and q, which is an axis ratio of 0.74: that of most near-round things
STAY = 0.02  # weight of staying in place, in rims: keeps half a rim from letting the circle run away


class Circles(NamedTuple):
    """Circles fitted to edges, arrays (n,) but for ``rays``.

    Attributes:
        x, y, r: px; the rim where the gradient is steepest.
        sign: +1 bright, -1 dark.
        rim: share of the rays inside the image that meet an edge of this sign near the rim.
        seen: share of the rays whose rim lies inside the image.
        strength: median over the rays of the inward gradient per sample of the level, where a level is smoothed by
            one sample, so a sharp step has a strength of 0.4 times its height on every level.
        certainty: the same in standard deviations of the noise.
        misfit: root mean square distance of the edges from the oval, in radii.
        oval: sqrt(p^2 + q^2).
        step: px per sample of the level fitted on.
        rays: (n, RAYS) distance in px at which each ray meets the rim; 0 where it meets none, -1 outside the image.
    """

    x: Doubles
    y: Doubles
    r: Doubles
    sign: Doubles
    rim: Doubles
    seen: Doubles
    strength: Doubles
    certainty: Doubles
    misfit: Doubles
    oval: Doubles
    step: Doubles
    rays: Doubles


def fit_circles(levels: list[Level], x: Doubles, y: Doubles, r: Doubles, sign: Doubles) -> Circles:
    """Fit each proposed circle on the level that shows it best; what noise blurs there, on the next coarser one too.

    So one proposal may give two circles.
    """
    coarse, fine = (_fit_at(levels, x, y, r, sign, fineness) for fineness in FINENESS)
    # At the ends of the pyramid both levels are the same.
    differ = np.flatnonzero((coarse.step != fine.step) & (fine.certainty < CLEAR))
    return Circles._make(np.concatenate([f, c[differ]]) for f, c in zip(fine, coarse, strict=True))


def _fit_at(levels: list[Level], x: Doubles, y: Doubles, r: Doubles, sign: Doubles, fineness: float) -> Circles:
    chosen = np.clip(np.floor(np.log2(r / fineness)), 0, len(levels) - 1).astype(np.int64)
    out, rays = np.zeros((len(x), 9)), np.zeros((len(x), RAYS))
    for k, level in enumerate(levels):
        here = np.flatnonzero(chosen == k)
        start = np.stack([x[here], y[here], r[here], sign[here]], 1)
        start[:, :3] /= level.step
        fitted, struck = np.zeros((len(here), 9)), np.zeros((len(here), RAYS))
        _fit_all(level.gx, level.gy, level.noise, start, fitted, struck)
        fitted[:, :3] *= level.step
        out[here] = fitted
        rays[here] = np.where(struck > 0, struck * level.step, struck)
    columns = out.T
    steps = np.array([float(level.step) for level in levels])[chosen]
    return Circles._make([*columns[:3], sign.copy(), *columns[3:], steps, rays])


def taken(circles: Circles, chosen: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Circles:
    """The chosen ones of the circles."""
    return Circles._make(column[chosen] for column in circles)


@compiled
def _fit_all(gx: Floats, gy: Floats, noise: float, start: Doubles, out: Doubles, struck: Doubles) -> None:
    turns = 2.0 * np.pi * np.arange(RAYS) / RAYS
    design = np.empty((RAYS, 5))
    design[:, 0], design[:, 1], design[:, 2] = np.cos(turns), np.sin(turns), 1.0
    design[:, 3], design[:, 4] = np.cos(2.0 * turns), np.sin(2.0 * turns)
    for k in range(start.shape[0]):
        _fit(gx, gy, noise, start[k], design, out[k], struck[k])


@compiled
def _fit(gx: Floats, gy: Floats, noise: float, start: Doubles, design: Doubles, out: Doubles, struck: Doubles) -> None:
    """Fit one oval; what is written is explained at Circles."""
    place, fall, rim = np.empty(RAYS), np.empty(RAYS), np.empty(RAYS)
    x, y, r, sign = start[0], start[1], start[2], start[3]
    p, q = 0.0, 0.0
    for turn in range(ROUNDS):
        spread = (WINDOW[0] if turn < 2 else WINDOW[1]) * r + 0.3
        for m in range(RAYS):
            rim[m] = r * (1.0 + p * design[m, 3] + q * design[m, 4])
        strike(gx, gy, x, y, sign, design, rim, spread, place, fall)
        normal, right = np.zeros((5, 5)), np.zeros(5)
        for m in range(RAYS):
            if fall[m] <= noise:
                continue
            d = place[m] - rim[m]
            # Cauchy's weight forgets edges far from the rim; an edge counts by how far it stands out of noise.
            weight = fall[m] / (fall[m] + SIGNIFICANT * noise) / (1.0 + (2.0 * d / spread) ** 2)
            for a in range(5):
                right[a] += weight * design[m, a] * d
                for b in range(a + 1):
                    normal[a, b] += weight * design[m, a] * design[m, b]
        normal[0, 0] += STAY * RAYS
        normal[1, 1] += STAY * RAYS
        normal[2, 2] += 1e-6
        # An edge strays by a tenth of the radius or so from any oval, which weighs the prior on p and q.
        stiff = (0.1 / OVAL) ** 2 * 4.0
        normal[3, 3] += stiff
        normal[4, 4] += stiff
        right[3] -= stiff * p * r
        right[4] -= stiff * q * r
        solve(normal, right)
        limit = 0.3 * r
        x += min(max(right[0], -limit), limit)
        y += min(max(right[1], -limit), limit)
        before = r
        r = min(max(r + min(max(right[2], -limit), limit), 0.6 * start[2]), 1.6 * start[2])
        p = min(max((p * before + right[3]) / r, -0.4), 0.4)
        q = min(max((q * before + right[4]) / r, -0.4), 0.4)
    for m in range(RAYS):
        rim[m] = r * (1.0 + p * design[m, 3] + q * design[m, 4])
    strike(gx, gy, x, y, sign, design, rim, WINDOW[1] * r + 0.3, place, fall)
    h, w = gx.shape
    inside, met, square = 0, 0, 0.0
    falls = np.empty(RAYS)
    for m in range(RAYS):
        px, py = x + rim[m] * design[m, 0], y + rim[m] * design[m, 1]
        struck[m] = -1.0
        if px < 0.0 or py < 0.0 or px > w - 1 or py > h - 1:
            continue
        near = abs(place[m] - rim[m]) < REACH * r + 0.3
        falls[inside] = fall[m] if near else 0.0
        inside += 1
        struck[m] = 0.0
        if near and fall[m] > SIGNIFICANT * noise:
            struck[m] = place[m]
            met += 1
            square += (place[m] - rim[m]) ** 2
    strength = np.median(falls[:inside]) if inside > 0 else 0.0
    out[0], out[1], out[2] = x, y, r
    out[3], out[4] = met / max(inside, 1), inside / RAYS
    out[5], out[6] = strength, strength / noise
    out[7], out[8] = math.sqrt(square / max(met, 1)) / r, math.hypot(p, q)


@compiled
def solve(normal: Doubles, right: Doubles) -> None:
    """Solve in place by Cholesky's way; of the symmetric matrix only the lower half is read."""
    n = right.size
    for a in range(n):
        for b in range(a + 1):
            s = normal[a, b]
            for c in range(b):
                s -= normal[a, c] * normal[b, c]
            normal[a, b] = math.sqrt(max(s, 1e-12)) if a == b else s / normal[b, b]
    for a in range(n):
        for c in range(a):
            right[a] -= normal[a, c] * right[c]
        right[a] /= normal[a, a]
    for a in range(n - 1, -1, -1):
        for c in range(a + 1, n):
            right[a] -= normal[c, a] * right[c]
        right[a] /= normal[a, a]


@compiled
def strike(
    gx: Floats,
    gy: Floats,
    x: float,
    y: float,
    sign: float,
    design: Doubles,
    rim: Doubles,
    spread: float,
    place: Doubles,
    fall: Doubles,
) -> None:
    """Along each ray from (x, y), where the image falls steepest outwards near the rim, and how steep it is there.

    Only a local maximum along the ray counts, so a slope that goes on beyond the window is no rim.
    """
    h, w = gx.shape
    step = 0.5
    for m in range(RAYS):
        c, s = design[m, 0], design[m, 1]
        first = max(0.5, rim[m] - 2.0 * spread)
        count = int((rim[m] + 2.0 * spread - first) / step) + 2
        best, before, last = 0.0, 0.0, 0.0
        place[m], fall[m] = rim[m], 0.0
        for k in range(count):
            px, py = x + (first + step * k) * c, y + (first + step * k) * s
            if px < 0.0 or py < 0.0 or px > w - 1 or py > h - 1:
                break
            steep = -sign * (c * between(gx, px, py) + s * between(gy, px, py))
            if k >= 2 and last > 0.0 and last >= before and last > steep:
                at = first + step * (k - 1)
                worth = last * math.exp(-0.5 * ((at - rim[m]) / spread) ** 2)
                if worth > best:
                    best = worth
                    place[m] = at + step * 0.5 * (before - steep) / (before - 2.0 * last + steep)
                    fall[m] = last
            before, last = last, steep
