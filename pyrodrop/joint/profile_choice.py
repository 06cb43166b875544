"""Which profile the droplets of an image have: by the evidence of each for a part of the image that shows enough."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pyrodrop.joint.descent import TOLERANCE, Descent, descending, start_of
from pyrodrop.joint.factor import factor
from pyrodrop.joint.joint_fit import JointFit, described, fit_jointly
from pyrodrop.joint.pixels import Pixels
from pyrodrop.joint.posterior import evidence_of
from pyrodrop.joint.priors import Array
from pyrodrop.joint.problem import Problem, State
from pyrodrop.joint.resuming.descents import arrays_of, asked_of, mode_of
from pyrodrop.joint.resuming.kept import digest_of
from pyrodrop.models.prior_scales import PriorScales, image_scales
from pyrodrop.rendering import profile_named

# A part of the image with so many droplets says as well as all of it which profile is the better: where one droplet
# speaks for one of them by a sixth, these do by the e^10 of ``_DECIDED``; where it speaks less, a larger part is asked.
_ENOUGH = 60
# Log of how much likelier the best profile must be than the next; else a part that is twice as large is asked.
_DECIDED = 10.0
# A part with a side of more than this share of the image's saves nothing, and no part is smaller than this.
_NEARLY_ALL, _LEAST_PX = 0.8, 32
# Half radii around a part, from which droplets reach into it; the fit has no centres further beyond its border.
_REACH = 1.6


class ProfileChoice(NamedTuple):
    """The profile, and the log evidence of each that was tried for the part of the image that was looked at."""

    profile: str
    evidence: dict[str, float]


def fit_best_profile(
    channels: ArrayLike | Pixels,
    x: ArrayLike,
    y: ArrayLike,
    half_radius: ArrayLike,
    *,
    profiles: Sequence[str] = ("gaussian", "disc", "radial", "rimmed"),
    scales: PriorScales | None = None,
    weight: ArrayLike | None = None,
    **options: Any,
) -> tuple[JointFit, dict[str, float]]:
    """Choose the profile (``choose_profile``), and fit all droplets with it.

    Args:
        channels, x, y: as for ``fit_jointly``.
        half_radius: distance in px at which a droplet falls to half its height, shape (N,).
        profiles: those to choose from.
        scales: the same priors for all, else ``image_scales``.
        weight: how likely each is a droplet, (N,); the part to be looked at is where most of them are likely.
        options: for ``fit_jointly``.

    Returns:
        The best, and the log evidence of each. With noise that is correlated, the evidence exaggerates.
    """
    image, places, scales = _as_arrays(channels, x, y, half_radius, scales)
    evidence, best, whole = _asked(image, places, profiles, scales, weight, options)
    if not whole:
        x_px, y_px, half = places
        r = half / profile_named(best.profile).half_share
        options |= {"profile": best.profile, "scales": scales, "shape": best.shape}
        best = fit_jointly(image, x_px, y_px, r, **options)
    return best, evidence


def choose_profile(
    channels: ArrayLike | Pixels,
    x: ArrayLike,
    y: ArrayLike,
    half_radius: ArrayLike,
    *,
    profiles: Sequence[str],
    scales: PriorScales | None = None,
    weight: ArrayLike | None = None,
    begun: JointFit | None = None,
    **options: Any,
) -> ProfileChoice:
    """The profile with the greatest evidence; arguments as for ``fit_best_profile``.

    ``begun`` is the fit that the places are of: of its profile, the numbers that droplets share begin where it ended.
    Where an image has many droplets, a part of it is asked first, and a larger one only if that does not say.
    """
    image, places, scales = _as_arrays(channels, x, y, half_radius, scales)
    evidence, best, _ = _asked(image, places, profiles, scales, weight, options, begun)
    return ProfileChoice(best.profile, evidence)


def _as_arrays(
    channels: ArrayLike | Pixels, x: ArrayLike, y: ArrayLike, half_radius: ArrayLike, scales: PriorScales | None
) -> tuple[Pixels, tuple[Array, Array, Array], PriorScales]:
    image = Pixels.of(channels)
    x_px, y_px, half = (np.asarray(values, dtype=np.float64) for values in (x, y, half_radius))
    if scales is None:
        scales = image_scales(image.channels, float(np.median(half)) if len(half) else 8.0)
    return image, (x_px, y_px, half), scales


def _asked(
    image: Pixels,
    places: tuple[Array, Array, Array],
    profiles: Sequence[str],
    scales: PriorScales,
    weight: ArrayLike | None,
    options: dict[str, Any],
    begun: JointFit | None = None,
) -> tuple[dict[str, float], JointFit, bool]:
    """Log evidence of each profile for a part of the image, the best fit of it, and whether it was the whole image."""
    if not profiles:
        raise ValueError("profiles is empty: name at least one.")
    x, y, half = places
    likely = np.ones(len(x)) if weight is None else np.asarray(weight, dtype=np.float64)
    enough = float(_ENOUGH) if len(profiles) > 1 else np.inf
    while True:
        part = _part(x, y, likely, image.size, enough)
        top, left = part[0].start, part[1].start
        down, along = (np.clip(place, side.start, side.stop - 1) for place, side in ((y, part[0]), (x, part[1])))
        pixels = image.part(*part)
        whole = pixels is image
        near = (np.hypot(x - along, y - down) < _REACH * half) | whole
        starts = {
            profile: start_of(
                pixels,
                x[near] - left,
                y[near] - top,
                half[near] / profile_named(profile).half_share,
                profile=profile,
                scales=scales,
                shape=begun.shape if begun is not None and begun.profile == profile else None,
            )
            for profile in profiles
        }
        evidence, mode = _raced_once(starts, **options)
        ordered = sorted(evidence, key=lambda profile: -evidence[profile])
        if whole or evidence[ordered[0]] - evidence[ordered[1]] > _DECIDED:
            return evidence, described(starts[ordered[0]][0], mode), whole
        enough *= 2


def _raced_once(
    starts: Mapping[str, tuple[Problem, State]], max_steps: int = 50, tolerance: float = TOLERANCE
) -> tuple[dict[str, float], Descent]:
    """As ``_raced``; a race that the pixels' ``kept`` knows is read."""
    kept = next(iter(starts.values()))[0].pixels.kept
    if kept is None:
        return _raced(starts, max_steps, tolerance)
    digest = digest_of("race", *(part for start in starts.values() for part in asked_of(*start)), max_steps, tolerance)
    known = kept.read(digest)
    if known is None:
        evidence, mode = _raced(starts, max_steps, tolerance)
        kept.keep(digest, arrays_of(mode) | {"evidence": np.array(list(evidence.values()))})
        return evidence, mode
    evidence = dict(zip(starts, known["evidence"].tolist(), strict=True))
    return evidence, mode_of(starts[max(evidence, key=lambda name: evidence[name])][0], known)


def _raced(
    starts: Mapping[str, tuple[Problem, State]], max_steps: int, tolerance: float
) -> tuple[dict[str, float], Descent]:
    """Log evidence of each start's mode, and the likeliest mode.

    All go down side by side. One that is behind another by more than decides and than it may still gain is left: the
    gains of a descent fall, by a fifth and more from step to step, so that all that are still to come are together at
    most twice the last two. Its evidence is the most that it may have come to. The other may still lose, for each step
    reads the noise anew: where it has come down so far, the one that was left goes on.
    """
    ways = {name: descending(*start, max_steps, start[1], tolerance) for name, start in starts.items()}
    modes: dict[str, Descent] = {}
    passed: dict[str, list[float]] = {name: [] for name in starts}
    left: dict[str, Iterator[Descent]] = {}
    bounds = dict.fromkeys(starts, 0.0)
    while ways:
        for name, way in list(ways.items()):
            before, mode = modes.get(name), next(way, None)
            if mode is None:
                del ways[name]
                continue
            modes[name] = mode
            if before is None or mode.state is not before.state:
                passed[name].append(
                    evidence_of(starts[name][0], mode.state, mode.residual, mode.noise, factor(mode.equations))
                )
        best = max(own[-1] for name, own in passed.items() if name not in left)
        for name in list(ways):
            own = passed[name]
            if len(own) > 2:
                bounds[name] = own[-1] + 2 * max(own[-1] - own[-3], 0.0)
                if best - bounds[name] > _DECIDED:
                    left[name] = ways.pop(name)
                    del modes[name]
        if not ways:
            ways = {name: left.pop(name) for name in list(left) if best - bounds[name] <= _DECIDED}
    evidence = {name: bounds[name] if name in left else own[-1] for name, own in passed.items()}
    return evidence, modes[max(evidence, key=lambda name: evidence[name])]


def _part(x: Array, y: Array, likely: Array, size: tuple[int, ...], enough: float) -> tuple[slice, slice]:
    """Rows and columns of a part of the image of its own proportions in which enough droplets are to be expected: of
    all such parts, on a grid of half their sides, that with the most. The whole image, where that has no more.
    """
    height, width = size
    total = float(likely.sum())
    share = np.sqrt(min(enough / max(total, 1e-9), 1.0))
    if share > _NEARLY_ALL:
        return slice(0, height), slice(0, width)
    tall, wide = (max(int(np.ceil(share * side)), min(side, _LEAST_PX)) for side in (height, width))
    best, most = (0, 0), -1.0
    for top in np.unique(np.linspace(0, height - tall, max(2 * height // tall, 1)).astype(int)):
        for left in np.unique(np.linspace(0, width - wide, max(2 * width // wide, 1)).astype(int)):
            inside = (x >= left) & (x < left + wide) & (y >= top) & (y < top + tall)
            here = float(likely[inside].sum())
            if here > most:
                best, most = (int(top), int(left)), here
    return slice(best[0], best[0] + tall), slice(best[1], best[1] + wide)
