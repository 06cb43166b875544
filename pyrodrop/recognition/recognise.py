"""Which candidates are droplets: fitted together, weighed, thinned out, and looked for again in what is left over."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pyrodrop.detection.finder import find
from pyrodrop.detection.population import Population
from pyrodrop.detection.residual_candidates import peaks_left_over
from pyrodrop.joint.descent import REST
from pyrodrop.joint.joint_fit import Settled, settle, settle_best
from pyrodrop.models.bspline_background import spline_basis
from pyrodrop.models.multichannel_fit import Scales, image_scales, pixel_noise
from pyrodrop.recognition.likeness import log_likeness
from pyrodrop.recognition.packed import found_in_packed
from pyrodrop.recognition.splits import needless, suspects, united, within
from pyrodrop.rendering import HALF_RADIUS

Array = NDArray[np.float64]

# Mean squared residual of a droplet, in units of the image's own white noise, up to which the model explains it: by
# then the misfit is as large as the noise, which is what "does not fit" means for the image as a whole, too.
EXPLAINED = 2.0
# A candidate less likely than this is dropped; a hundred of them would not make one droplet.
LEAST = 0.01
# Rounds of thinning out, and of looking at what is left over.
_THINNINGS, _LOOKS = 4, 3
# Steps of a fit that only has to tell what is there from what is not, and the gain in log density where it rests: what
# is dropped and what is kept differ by more.
_ROUGH, _ROUGH_REST = 12, 0.05


class Known(NamedTuple):
    """What is known of an image before a part of it is looked at: the scales of its priors, and its population."""

    scales: Scales
    population: Population


class Candidates(NamedTuple):
    """Circles, x, y and radius of half height in px, and how like the image's droplets each is, all (N,)."""

    x: Array
    y: Array
    radius: Array
    alike: Array

    def those(self, kept: NDArray[np.bool_] | NDArray[np.intp]) -> "Candidates":
        """Some of them."""
        return Candidates(*(values[kept] for values in self))


class Recognised(NamedTuple):
    """The droplets of an image, N of them.

    settled: their joint fit. presence: probability that each is there, (N,). evidence: log evidence of each profile
    that was tried, on the same candidates. population: what the circles found first say of droplets and clutter.
    candidates: where each was found.
    """

    settled: Settled
    presence: Array
    evidence: dict[str, float]
    population: Population
    candidates: Candidates


def recognise(channels: Array, prominent: Array, profiles: Sequence[str], known: Known | None = None) -> Recognised:
    """Find the droplets of an image, fit them jointly, and say of each how likely it is there.

    The presence of a droplet is the product of two probabilities. That the image needs it: the odds of the models with
    it and without it, held against white noise (``Settled.presence``). And that it is a droplet and not clutter: as
    likely as it is like the other droplets of the image (``finder``); or else, where the model explains what is seen
    there to within the noise, it is one by definition, the better the more its radius and amplitude are like
    the others' (``log_likeness``). What has only the latter to show for itself is held against
    all that the model leaves over anywhere, as against noise: in an image that the model describes badly, a small
    thing that it happens to describe well means little. Within a droplet twice as high it means nothing: there it is
    what the profile does not say of that one (``splits.within``).

    Args:
        channels: the image, (C, H, W).
        prominent: the one channel to look for candidates in, (H, W).
        profiles: those to choose from by their evidence.
        known: what is known of the whole, where this image is a part of it; else the image says it of itself.
    """
    population = None if known is None else known.population
    found = find(torch.from_numpy(prominent).float(), everything=True, known=population)
    found = found_in_packed(channels, prominent, found, population)
    candidates = Candidates(found.x, found.y, found.r, found.presence)
    white = pixel_noise(channels)
    usual = found.r[found.presence >= 0.5] if (found.presence >= 0.5).any() else found.r
    scales = image_scales(channels, float(np.median(usual)) if len(usual) else 8.0) if known is None else known.scales
    if len(profiles) > 1 and len(found.x):
        # One cheap fit takes out what only noise has made; a rim alone, which has no height, it would not see.
        first = settle(
            channels,
            found.x,
            found.y,
            found.r / HALF_RADIUS["gaussian"],
            profile="gaussian",
            scales=scales,
            max_steps=_ROUGH,
        )
        candidates = candidates.those((first.presence() >= LEAST) | (found.presence >= 0.5))
    settled, evidence = settle_best(
        channels, candidates.x, candidates.y, candidates.radius, profiles=profiles, scales=scales, max_steps=2 * _ROUGH
    )
    settled, candidates = _completed(channels, settled, candidates, white)
    if len(profiles) > 1 and len(candidates.x) and _explains(settled, candidates.alike, white):
        # With all droplets in place, what was taken for the profile may have been what was missing.
        half = settled.half_radius
        better, evidence = settle_best(
            channels, settled.x, settled.y, half, profiles=profiles, scales=scales, max_steps=2 * _ROUGH
        )
        if better.profile != settled.profile:
            settled, candidates = _completed(channels, better, candidates, white)
    # Not before: as long as droplets are missing or the profile is another, such corrections lead to what is there.
    there = presence_of(settled, candidates.alike, white) >= 0.5
    kept = ~within(settled, there) | (candidates.alike >= 0.5)
    candidates = candidates.those(kept)
    settled = _again(channels, settled, kept, candidates, 50)
    return Recognised(settled, presence_of(settled, candidates.alike, white), evidence, found.population, candidates)


def recognised_again(channels: Array, seen: Recognised) -> Recognised:
    """The same droplets in an image, (C, H, W), that differs a little from the one that they were recognised in."""
    settled = _again(channels, seen.settled, np.ones(len(seen.settled.x), bool), seen.candidates, 50)
    return seen._replace(settled=settled, presence=presence_of(settled, seen.candidates.alike, pixel_noise(channels)))


def _explains(settled: Settled, alike: Array, white: Array) -> bool:
    """Whether the model explains half of the droplets to within the noise; else what it leaves over is its own."""
    there = presence_of(settled, alike, white) >= 0.5
    if not there.any():
        return float(np.mean(settled.reduced_chi_square)) < EXPLAINED
    return float(np.median(_left(settled, white)[there])) < EXPLAINED


def _left(settled: Settled, white: Array) -> Array:
    """Mean squared residual at each droplet in units of the image's white noise, (N,)."""
    return np.asarray(settled.misfit * np.mean(np.square(settled.noise / white)))


def presence_of(settled: Settled, alike: Array, white: Array) -> Array:
    """Probability that each droplet is there, (N,); see ``recognise``.

    Args:
        settled: the joint fit.
        alike: probability that each is like the image's other droplets, (N,).
        white: standard deviation of the white noise that the image itself shows, (C,).
    """
    explained = 1 / (1 + (_left(settled, white) / EXPLAINED) ** 8)
    first = alike + (1 - alike) * explained * settled.presence()
    expected = max(float(first.sum()), 1.0)
    prior = np.log(expected) - log_rivals(settled)
    odds = settled.log_bayes + prior
    # What noise makes is alike, too: none is to speak for another unless it is there however unlike all others it is.
    alone = _probability(odds - np.log1p((first >= 0.5).sum()))
    members = alike + (1 - alike) * explained * alone >= 0.5
    needed = _probability(odds + log_likeness(settled, members))
    return np.asarray(alike * _probability(settled.log_bayes_white + prior) + (1 - alike) * explained * needed)


def log_rivals(settled: Settled) -> Array:
    """Log of how many bumps of the background could each stand in a droplet's place, (N,); 0 where none could.

    The background's splines, h apart, carry all that varies over 2 h or more: of a Gaussian of radius r the share
    erf(pi r / h)^2 of its square, which is 95 % at h / 2. Such a droplet has the image's evidence against level ground,
    but is no likelier than any of the bumps that a background may have. What has a rim is told apart by its rim.
    """
    spacing = settled.scales.spacing
    height, width = settled.residual.shape[1:]
    bumps = spline_basis(height, spacing).shape[1] * spline_basis(width, spacing).shape[1]
    carried = (settled.r > spacing / 2) & (settled.profile == "gaussian")
    return np.where(carried, np.log(bumps), 0.0)


def _probability(log_odds: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-np.clip(log_odds, -500, 500))))


def _thinned(channels: Array, settled: Settled, candidates: Candidates, white: Array) -> tuple[Settled, Candidates]:
    """The fit without the candidates that are not there. Of two that stand for one droplet each makes the other
    needless: only the weaker of neighbours goes at once.
    """
    for _ in range(_THINNINGS):
        there = presence_of(settled, candidates.alike, white)
        doubtful = np.flatnonzero(there < LEAST)
        if not len(doubtful):
            break
        going = np.zeros(len(there), bool)
        for k in doubtful[np.argsort(there[doubtful], kind="stable")]:
            near = np.hypot(settled.x - settled.x[k], settled.y - settled.y[k]) < settled.r + settled.r[k]
            going[k] = not (near & going).any()
        candidates = candidates.those(~going)
        settled = _again(channels, settled, ~going, candidates)
    return settled, candidates


def _completed(channels: Array, settled: Settled, candidates: Candidates, white: Array) -> tuple[Settled, Candidates]:
    """The fit without the candidates that are not there, and with the droplets that were not seen before."""
    settled, candidates = _thinned(channels, settled, candidates, white)
    for _ in range(_LOOKS):
        if not _explains(settled, candidates.alike, white):
            break
        more = _left_over(settled)
        before = len(candidates.x)
        if len(more.x):
            settled, candidates = _with(channels, settled, candidates, more, white)
        if len(candidates.x) <= before:
            break
    if _explains(settled, candidates.alike, white):
        settled, candidates = _unsplit(channels, settled, candidates, white)
    return settled, candidates


def _unsplit(channels: Array, settled: Settled, candidates: Candidates, white: Array) -> tuple[Settled, Candidates]:
    """The fit with each droplet that was taken for two as one again."""
    taken = suspects(settled)
    if not len(taken):
        return settled, candidates
    kept = ~np.isin(np.arange(len(settled.x)), taken)
    one = united(settled, taken)
    moved = (one.x != settled.x) | (one.r != settled.r)
    share = HALF_RADIUS[settled.profile]
    homes = Candidates(
        np.where(moved, one.x, candidates.x),
        np.where(moved, one.y, candidates.y),
        np.where(moved, one.r * share, candidates.radius),
        candidates.alike,
    )
    without = _again(channels, one, kept, homes.those(kept))
    members = presence_of(settled, candidates.alike, white) >= 0.5
    odds = np.log(max(float(members.sum()), 1.0)) + log_likeness(settled, members)[taken]
    needed = taken[~needless(settled, without, taken, odds)]
    if not len(needed):
        return without, homes.those(kept)
    kept[needed] = True
    undone = united(settled, np.setdiff1d(taken, needed))
    moved = (undone.x != settled.x) | (undone.r != settled.r)
    homes = Candidates(*(np.where(moved, *both) for both in zip(homes, candidates, strict=True)))
    return _again(channels, undone, kept, homes.those(kept)), homes.those(kept)


def _left_over(settled: Settled) -> Candidates:
    """Candidates in what the model leaves over; that they are like the others is not known of them."""
    if len(settled.x):
        peaks = peaks_left_over(settled.residual, settled.noise, settled.r, settled.profile, settled.shape)
        return Candidates(peaks.x, peaks.y, peaks.r * HALF_RADIUS[settled.profile], np.zeros(len(peaks.x)))
    rest = np.tensordot(1 / settled.noise, settled.residual.astype(np.float64), 1)
    found = find(torch.from_numpy(rest).float(), everything=True)
    return Candidates(found.x, found.y, found.r, np.zeros(len(found.x)))


def _with(
    channels: Array, settled: Settled, candidates: Candidates, more: Candidates, white: Array
) -> tuple[Settled, Candidates]:
    """The fit with those of the new candidates that turn out to be there."""
    joined = Candidates(*(np.concatenate(pair) for pair in zip(candidates, more, strict=True)))
    both = _again(channels, settled, np.ones(len(settled.x), bool), joined)
    return _thinned(channels, both, joined, white)


def _again(
    channels: Array,
    settled: Settled,
    kept: NDArray[np.bool_],
    candidates: Candidates,
    max_steps: int = _ROUGH,
) -> Settled:
    """The fit of the candidates: the kept droplets of the last fit from where they are, and those after them."""
    share = HALF_RADIUS[settled.profile]
    new = candidates.those(np.arange(len(candidates.x)) >= kept.sum())
    return settle(
        channels,
        np.concatenate([settled.x[kept], new.x]),
        np.concatenate([settled.y[kept], new.y]),
        np.concatenate([settled.r[kept], new.radius / share]),
        np.concatenate([settled.amplitude[:, kept], np.zeros((len(channels), len(new.x)))], 1),
        profile=settled.profile,
        scales=settled.scales,
        edge_px=float(settled.shape[0]) if len(settled.shape) else 1.0,
        max_steps=max_steps,
        rest=_ROUGH_REST if max_steps <= _ROUGH else REST,
        home=(candidates.x, candidates.y, candidates.radius / share),
    )
