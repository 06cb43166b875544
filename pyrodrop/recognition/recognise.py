"""Which candidates are droplets: fitted together, weighed, thinned out, and looked for again in what is left over."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit

from pyrodrop.detection.finder import find
from pyrodrop.detection.population import Population
from pyrodrop.detection.residual_candidates import peaks_left_over
from pyrodrop.joint.descent import TOLERANCE
from pyrodrop.joint.joint_fit import JointFit, fit_jointly
from pyrodrop.joint.profile_choice import fit_best_profile
from pyrodrop.models.bspline_background import spline_basis
from pyrodrop.models.prior_scales import PriorScales, image_scales
from pyrodrop.recognition.membership import log_membership
from pyrodrop.recognition.packed import found_in_packed
from pyrodrop.recognition.splits import needless, suspects, united, within
from pyrodrop.rendering import PROFILES, profile_named
from pyrodrop.rendering.pixel_noise import pixel_noise

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
_ROUGH, _ROUGH_TOLERANCE = 12, 0.05


class Known(NamedTuple):
    """What is known of an image before a part of it is looked at: the scales of its priors, and its population."""

    scales: PriorScales
    population: Population


class Candidates(NamedTuple):
    """Circles, x, y and radius of half height in px, and how like the image's droplets each is, all (N,)."""

    x: Array
    y: Array
    radius: Array
    membership: Array

    def those(self, kept: NDArray[np.bool_] | NDArray[np.intp]) -> "Candidates":
        """Some of them."""
        return Candidates(*(values[kept] for values in self))


class Recognised(NamedTuple):
    """The droplets of an image, N of them.

    fit: their joint fit. presence: probability that each is there, (N,). evidence: log evidence of each profile
    that was tried, on the same candidates. population: what the circles found first say of droplets and clutter.
    candidates: where each was found.
    """

    fit: JointFit
    presence: Array
    evidence: dict[str, float]
    population: Population
    candidates: Candidates


def recognise(channels: Array, prominent: Array, profiles: Sequence[str], known: Known | None = None) -> Recognised:
    """Find the droplets of an image, fit them jointly, and say of each how likely it is there.

    The presence of a droplet is the product of two probabilities. That the image needs it: the odds of the models with
    it and without it, held against white noise (``JointFit.presence``). And that it is a droplet and not clutter: as
    likely as it is like the other droplets of the image (``finder``); or else, where the model explains what is seen
    there to within the noise, it is one by definition, the better the more its radius and amplitude are like
    the others' (``log_membership``). What has only the latter to show for itself is held against
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
        first = fit_jointly(
            channels,
            found.x,
            found.y,
            found.r / PROFILES["gaussian"].half_share,
            profile="gaussian",
            scales=scales,
            max_steps=_ROUGH,
        )
        candidates = candidates.those((first.presence() >= LEAST) | (found.presence >= 0.5))
    fit, evidence = fit_best_profile(
        channels, candidates.x, candidates.y, candidates.radius, profiles=profiles, scales=scales, max_steps=2 * _ROUGH
    )
    fit, candidates = _completed(channels, fit, candidates, white)
    if len(profiles) > 1 and len(candidates.x) and _explains(fit, candidates.membership, white):
        # With all droplets in place, what was taken for the profile may have been what was missing.
        half = fit.half_radius
        better, evidence = fit_best_profile(
            channels, fit.x, fit.y, half, profiles=profiles, scales=scales, max_steps=2 * _ROUGH
        )
        if better.profile != fit.profile:
            fit, candidates = _completed(channels, better, candidates, white)
    # Not before: as long as droplets are missing or the profile is another, such corrections lead to what is there.
    there = presence_of(fit, candidates.membership, white) >= 0.5
    kept = ~within(fit, there) | (candidates.membership >= 0.5)
    candidates = candidates.those(kept)
    fit = _again(channels, fit, kept, candidates, 50)
    return Recognised(fit, presence_of(fit, candidates.membership, white), evidence, found.population, candidates)


def recognised_again(channels: Array, seen: Recognised) -> Recognised:
    """The same droplets in an image, (C, H, W), that differs a little from the one that they were recognised in."""
    fit = _again(channels, seen.fit, np.ones(len(seen.fit.x), bool), seen.candidates, 50)
    return seen._replace(fit=fit, presence=presence_of(fit, seen.candidates.membership, pixel_noise(channels)))


def _explains(fit: JointFit, membership: Array, white: Array) -> bool:
    """Whether the model explains half of the droplets to within the noise; else what it leaves over is its own."""
    there = presence_of(fit, membership, white) >= 0.5
    if not there.any():
        return float(np.mean(fit.residuals.reduced_chi_square)) < EXPLAINED
    return float(np.median(_left(fit, white)[there])) < EXPLAINED


def _left(fit: JointFit, white: Array) -> Array:
    """Mean squared residual at each droplet in units of the image's white noise, (N,)."""
    return np.asarray(fit.residuals.at_droplets * np.mean(np.square(fit.noise / white)))


def presence_of(fit: JointFit, membership: Array, white: Array) -> Array:
    """Probability that each droplet is there, (N,); see ``recognise``.

    Args:
        fit: the joint fit.
        membership: probability that each is like the image's other droplets, (N,).
        white: standard deviation of the white noise that the image itself shows, (C,).
    """
    explained = 1 / (1 + (_left(fit, white) / EXPLAINED) ** 8)
    first = membership + (1 - membership) * explained * fit.presence()
    expected = max(float(first.sum()), 1.0)
    prior = np.log(expected) - log_rivals(fit)
    odds = fit.evidence.log_bayes + prior
    # What noise makes is alike, too: none is to speak for another unless it is there however unlike all others it is.
    alone = expit(odds - np.log1p((first >= 0.5).sum()))
    members = membership + (1 - membership) * explained * alone >= 0.5
    needed = expit(odds + log_membership(fit, members))
    return np.asarray(membership * expit(fit.evidence.log_bayes_white + prior) + (1 - membership) * explained * needed)


def log_rivals(fit: JointFit) -> Array:
    """Log of how many bumps of the background could each stand in a droplet's place, (N,); 0 where none could.

    The background's splines, h apart, carry all that varies over 2 h or more: of a Gaussian of radius r the share
    erf(pi r / h)^2 of its square, which is 95 % at h / 2. Such a droplet has the image's evidence against level ground,
    but is no likelier than any of the bumps that a background may have. What has a rim is told apart by its rim.
    """
    spacing = fit.scales.spacing
    height, width = fit.residuals.image.shape[1:]
    bumps = spline_basis(height, spacing).shape[1] * spline_basis(width, spacing).shape[1]
    carried = (fit.r > spacing / 2) & (not profile_named(fit.profile).rim)
    return np.where(carried, np.log(bumps), 0.0)


def _thinned(channels: Array, fit: JointFit, candidates: Candidates, white: Array) -> tuple[JointFit, Candidates]:
    """The fit without the candidates that are not there. Of two that stand for one droplet each makes the other
    needless: only the weaker of neighbours goes at once.
    """
    for _ in range(_THINNINGS):
        there = presence_of(fit, candidates.membership, white)
        doubtful = np.flatnonzero(there < LEAST)
        if not len(doubtful):
            break
        going = np.zeros(len(there), bool)
        for k in doubtful[np.argsort(there[doubtful], kind="stable")]:
            near = np.hypot(fit.x - fit.x[k], fit.y - fit.y[k]) < fit.r + fit.r[k]
            going[k] = not (near & going).any()
        candidates = candidates.those(~going)
        fit = _again(channels, fit, ~going, candidates)
    return fit, candidates


def _completed(channels: Array, fit: JointFit, candidates: Candidates, white: Array) -> tuple[JointFit, Candidates]:
    """The fit without the candidates that are not there, and with the droplets that were not seen before."""
    fit, candidates = _thinned(channels, fit, candidates, white)
    for _ in range(_LOOKS):
        if not _explains(fit, candidates.membership, white):
            break
        more = _left_over(fit)
        before = len(candidates.x)
        if len(more.x):
            fit, candidates = _with(channels, fit, candidates, more, white)
        if len(candidates.x) <= before:
            break
    if _explains(fit, candidates.membership, white):
        fit, candidates = _unsplit(channels, fit, candidates, white)
    return fit, candidates


def _unsplit(channels: Array, fit: JointFit, candidates: Candidates, white: Array) -> tuple[JointFit, Candidates]:
    """The fit with each droplet that was taken for two as one again."""
    taken = suspects(fit)
    if not len(taken):
        return fit, candidates
    kept = ~np.isin(np.arange(len(fit.x)), taken)
    one = united(fit, taken)
    moved = (one.x != fit.x) | (one.r != fit.r)
    share = profile_named(fit.profile).half_share
    origins = Candidates(
        np.where(moved, one.x, candidates.x),
        np.where(moved, one.y, candidates.y),
        np.where(moved, one.r * share, candidates.radius),
        candidates.membership,
    )
    without = _again(channels, one, kept, origins.those(kept))
    members = presence_of(fit, candidates.membership, white) >= 0.5
    odds = np.log(max(float(members.sum()), 1.0)) + log_membership(fit, members)[taken]
    needed = taken[~needless(fit, without, taken, odds)]
    if not len(needed):
        return without, origins.those(kept)
    kept[needed] = True
    undone = united(fit, np.setdiff1d(taken, needed))
    moved = (undone.x != fit.x) | (undone.r != fit.r)
    origins = Candidates(*(np.where(moved, *both) for both in zip(origins, candidates, strict=True)))
    return _again(channels, undone, kept, origins.those(kept)), origins.those(kept)


def _left_over(fit: JointFit) -> Candidates:
    """Candidates in what the model leaves over; that they are like the others is not known of them."""
    if len(fit.x):
        peaks = peaks_left_over(fit.residuals.image, fit.noise, fit.r, fit.profile, fit.shape)
        return Candidates(peaks.x, peaks.y, peaks.r * profile_named(fit.profile).half_share, np.zeros(len(peaks.x)))
    combined = np.tensordot(1 / fit.noise, fit.residuals.image.astype(np.float64), 1)
    found = find(torch.from_numpy(combined).float(), everything=True)
    return Candidates(found.x, found.y, found.r, np.zeros(len(found.x)))


def _with(
    channels: Array, fit: JointFit, candidates: Candidates, more: Candidates, white: Array
) -> tuple[JointFit, Candidates]:
    """The fit with those of the new candidates that turn out to be there."""
    joined = Candidates(*(np.concatenate(pair) for pair in zip(candidates, more, strict=True)))
    both = _again(channels, fit, np.ones(len(fit.x), bool), joined)
    return _thinned(channels, both, joined, white)


def _again(
    channels: Array,
    fit: JointFit,
    kept: NDArray[np.bool_],
    candidates: Candidates,
    max_steps: int = _ROUGH,
) -> JointFit:
    """The fit of the candidates: the kept droplets of the last fit from where they are, and those after them."""
    profile = profile_named(fit.profile)
    share = profile.half_share
    new = candidates.those(np.arange(len(candidates.x)) >= kept.sum())
    return fit_jointly(
        channels,
        np.concatenate([fit.x[kept], new.x]),
        np.concatenate([fit.y[kept], new.y]),
        np.concatenate([fit.r[kept], new.radius / share]),
        np.concatenate([fit.amplitude[:, kept], np.zeros((len(channels), len(new.x)))], 1),
        profile=fit.profile,
        scales=fit.scales,
        shape=np.where(profile.log, fit.shape, profile.initial_shape),  # widths go on from where they are
        max_steps=max_steps,
        tolerance=_ROUGH_TOLERANCE if max_steps <= _ROUGH else TOLERANCE,
        origin=(candidates.x, candidates.y, candidates.radius / share),
    )
