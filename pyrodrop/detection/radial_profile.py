"""The radial profile of a droplet: its height over the background around it, and where it has fallen to half."""

import math

import numpy as np

from pyrodrop.detection.circles import RAYS, Circles
from pyrodrop.detection.edges import Level, between
from pyrodrop.pursuit.refine import Doubles, Floats, compiled

CORE = 0.25, 0.85  # least and most radii of the rim over which the height is averaged: a Gaussian loses 1.5 % of it
# within the least; the most keeps clear of the smoothing of FINE
FRINGE = 0.5  # dip below the background, in heights, of a rim that is nothing but a fringe
RING = 1.6, 2.4  # radii of the rim between which the background is read: clear of a Gaussian's flank and of the next
STEPS = 12  # samples of a profile per radius
FINE = 8.0  # radii per smoothing of the image read: moves the half height of a disc's edge by 1 % of r at most
SHARP = 0.4  # strength of a sharp step of height 1: 1 / sqrt(2 pi)
NEAR = 0.6, 1.6  # radii between which the half height may lie: a Gaussian's lies at 1.18 of its steepest


def half_heights(image: Floats, levels: list[Level], circles: Circles) -> tuple[Doubles, Doubles]:
    """Radius in px at half height, and the signed height over the background, (n,) each.

    The profile is the median over the rays that no other circle covers. Where it has no height, as of a droplet
    that shows as nothing but a rim, the radius is that of the rim.
    """
    r, height = circles.r.copy(), circles.sign * circles.strength / SHARP
    others = np.stack([circles.x, circles.y, circles.r], 1)
    for k in range(len(r)):
        # The level's smoothing is its step; the image itself is not smoothed.
        n = math.floor(math.log2(max(circles.r[k] / FINE, 0.5)))
        level = levels[min(max(n, 0), len(levels) - 1)]
        values, step = (image, 1) if n < 0 else (level.values, level.step)
        near = np.hypot(circles.x - circles.x[k], circles.y - circles.y[k]) < circles.r + RING[1] * circles.r[k]
        near[k] = False
        profile = radial_profile(values, step, circles.x[k], circles.y[k], circles.r[k], others[near])
        found = _half(profile, circles.r[k], circles.sign[k])
        if found is not None:
            r[k], height[k] = found
    return r, height


def _half(profile: Doubles, r: float, sign: float) -> tuple[float, float] | None:
    """Radius and signed height from a profile sampled at multiples of r / STEPS; None if it shows no height.

    The droplet's height is its mean height up to where its rim begins, which is half the rim's width (the height over
    the steepest slope) inside the rim: all of a disc, the very middle of a Gaussian.
    """
    at = np.arange(len(profile)) / STEPS
    outside = (at >= RING[0]) & (at <= RING[1]) & np.isfinite(profile)
    middle = profile[at <= CORE[0]]
    if not outside.any() or not np.isfinite(middle).any():
        return None
    ground = float(np.median(profile[outside]))
    over = sign * (profile - ground)
    height = float(np.nanmean(over[at <= CORE[0]]))
    near = np.flatnonzero((at > NEAR[0]) & (at < NEAR[1]))
    slopes = (over[near - 1] - over[near + 1]) * 0.5 * STEPS
    steepest = float(np.nanmax(slopes)) if np.isfinite(slopes).any() else 0.0
    if height <= 0.0 or steepest <= 0.0:
        return None
    core = at <= min(max(1.0 - 0.5 * height / steepest, CORE[0]), CORE[1])
    core &= np.isfinite(over)
    height = float(np.average(over[core], weights=at[core] + 0.5 / STEPS))
    # A fringe around a droplet is as antisymmetric about its edge as light bent there is: the edge is then where the
    # profile passes the background, and between no fringe and a full one, between half height and that.
    dip = -float(np.nanmin(over[(at >= 1.0) & (at <= RING[0])], initial=0.0)) / max(height, 1e-300)
    level = 0.5 * height * max(0.0, 1.0 - max(dip, 0.0) / FRINGE)
    half = over - level
    crossings = np.flatnonzero((half[:-1] > 0.0) & (half[1:] <= 0.0))
    places = at[crossings] + half[crossings] / (half[crossings] - half[crossings + 1]) / STEPS
    places = places[(places > NEAR[0]) & (places < NEAR[1])]
    if not len(places):
        return None
    return r * float(places[np.argmin(np.abs(places - 1.0))]), sign * height


@compiled
def radial_profile(values: Floats, step: int, x: float, y: float, r: float, others: Doubles) -> Doubles:
    """Median over the rays of the values at multiples of r / STEPS from (x, y); NaN where no ray is free.

    A ray is free as far as it stays inside the image and out of the other circles (m, 3) of x, y, r.
    """
    h, w = values.shape
    count = int(2.4 * STEPS) + 1
    out, seen = np.empty(count), np.empty(RAYS)
    for k in range(count):
        n = 0
        d = r * k / STEPS
        for m in range(RAYS):
            px, py = x + d * math.cos(2.0 * math.pi * m / RAYS), y + d * math.sin(2.0 * math.pi * m / RAYS)
            if px < 0.0 or py < 0.0 or px > step * (w - 1) or py > step * (h - 1):
                continue
            free = True
            for o in range(others.shape[0]):
                # Clear of the other's flank too
                if (px - others[o, 0]) ** 2 + (py - others[o, 1]) ** 2 < (1.15 * others[o, 2] + 1.0) ** 2:
                    free = False
                    break
            if free:
                seen[n] = between(values, px / step, py / step)
                n += 1
        out[k] = np.median(seen[:n]) if n > 0 else np.nan
    return out
