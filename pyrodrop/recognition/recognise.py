"""Which candidates are droplets: proposed, fitted together, weighed, thinned out, and sought again in the residual."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pyrodrop.detection.network.weights import SHIPPED
from pyrodrop.detection.propose import propose
from pyrodrop.detection.residual_candidates import residual_peaks
from pyrodrop.joint.descent import TOLERANCE
from pyrodrop.joint.joint_fit import JointFit, fit_jointly, refit_jointly
from pyrodrop.joint.one_by_one.one_droplet import EDGE
from pyrodrop.joint.one_by_one.own_edges import edges_differ, with_own_edges
from pyrodrop.joint.profile_choice import choose_profile, fit_best_profile
from pyrodrop.models.prior_scales import image_scales
from pyrodrop.recognition.agreement import Agreed, agreed
from pyrodrop.recognition.candidates import NOTHING_KNOWN, Candidates, OfWhole
from pyrodrop.recognition.focus import doubles, likeliest_in_focus
from pyrodrop.recognition.membership import log_membership
from pyrodrop.recognition.presence import EXPLAINED, misfit_of, presence_of
from pyrodrop.recognition.splits import edges_of_droplets, needless, suspects, united
from pyrodrop.recognition.succession import first_words, succeeded
from pyrodrop.rendering import profile_named
from pyrodrop.rendering.pixel_noise import pixel_noise
from pyrodrop.results.statistics.counts import LIKELY

Array = NDArray[np.float64]

# A candidate less likely than this is dropped; a hundred of them would not make one droplet.
LEAST = 0.01
# And a proposal less likely than this is not looked at.
LEAST_PROPOSED = 0.1
# Rounds of thinning out, and of looking at the residual.
_THINNINGS, _LOOKS = 4, 3
# Steps of a fit that only has to tell what is there from what is not, and the gain in log density where it rests: what
# is dropped and what is kept differ by more.
_ROUGH, _ROUGH_TOLERANCE = 12, 0.05


class Recognised(NamedTuple):
    """The droplets of an image, N of them.

    fit: their joint fit. presence: probability that each is a droplet, (N,). places: where each is and how large, by
    the network and the joint fit (``agreement``). evidence: log evidence of each profile that was tried, for the part
    of the image that was asked. candidates: where each was found, and what the network says of it. own: the fit with
    edges of the droplets' own, where they differ (``joint.one_by_one.own_edges``); else the joint fit.
    """

    fit: JointFit
    presence: Array
    places: Agreed
    evidence: dict[str, float]
    candidates: Candidates
    own: JointFit


def recognise(
    channels: Array,
    prominent: Array,
    profiles: Sequence[str],
    whole: OfWhole = NOTHING_KNOWN,
    weights: Path = SHIPPED,
    least_of_residual: float = LIKELY,
    device: str | torch.device = "cpu",
) -> Recognised:
    """Find the droplets of an image, fit them jointly, and say of each how likely it is a droplet.

    The network proposes (``detection.propose``), the joint fit, which knows the likelihood, disposes: presence is the
    posterior of what both say (``presence``). Where the fit explains the image to within the noise, what stands out of
    its residual are candidates, too. Centre and radius are what both agree on (``agreement``).

    Args:
        channels: the image, (C, H, W); pixels that are NaN are not known.
        prominent: the one channel to look for candidates in, (H, W), finite: where the image is not known, filled so
            that nothing is to be seen there.
        profiles: those to choose from by their evidence.
        whole: what is known of the image that this one is a part of.
        weights: the file of the network.
        least_of_residual: what stands out of the residual is left out if it is less likely than this.
        device: where the network looks at the image; all else is done on the CPU.
    """
    candidates, scales = whole.candidates, whole.scales
    if candidates is None:
        image = prominent.astype(np.float32)
        proposals = propose(image, least_presence=LEAST_PROPOSED, weights=weights, device=device)
        candidates = Candidates.of_proposals(proposals).reaching(_known_in(channels))
    white = pixel_noise(channels)
    if scales is None:
        likely = candidates.radius[candidates.proposed >= LIKELY]
        usual = likely if len(likely) else candidates.radius
        scales = image_scales(channels, float(np.median(usual)) if len(usual) else 8.0)
    rough: dict[str, Any] = {"scales": scales, "max_steps": 2 * _ROUGH, "tolerance": _ROUGH_TOLERANCE}
    first = first_words(candidates)
    afterthoughts, candidates = candidates.those(~first), candidates.those(first)
    fit, evidence = fit_best_profile(channels, *candidates[:3], profiles=profiles, weight=candidates.proposed, **rough)
    if len(afterthoughts.x):
        fit, candidates = _with(channels, fit, candidates, afterthoughts, white)
    fit, candidates = _completed(channels, fit, candidates, white)
    if len(profiles) > 1 and len(candidates.x) and _explains(fit, candidates, white):
        # With all droplets in place, what was taken for the profile may have been what was missing.
        places = fit.x, fit.y, fit.half_radius
        better, evidence = choose_profile(
            channels, *places, profiles=profiles, weight=presence_of(fit, candidates, white), **rough
        )
        if better != fit.profile:
            other = profile_named(better)
            again = fit_jointly(channels, fit.x, fit.y, fit.half_radius / other.half_share, profile=better, **rough)
            contest = (fit, candidates), _completed(channels, again, candidates, white)
            # The one may do with fewer droplets than the other.
            fit, candidates = max(contest, key=lambda each: each[0].evidence.log_evidence)
    fit, candidates = _focused(channels, fit, candidates, profiles, white)
    # Not before: as long as droplets are missing or the profile is another, such corrections lead to them.
    presence = presence_of(fit, candidates, white)
    # What the network has not proposed is there only if it is likelier than not: hundreds of doubtful peaks of a
    # residual would add up to droplets where nothing is.
    kept = (candidates.proposed > 0) | (presence >= least_of_residual)
    candidates = candidates.those(kept)
    fit = _again(channels, fit, kept, candidates, 50)
    presence = presence_of(fit, candidates, white)
    own = _own_edges(channels, fit, candidates, white)
    return Recognised(fit, presence, agreed(own, candidates, white), evidence, candidates, own)


def recognised_again(channels: Array, seen: Recognised) -> Recognised:
    """The same droplets in an image, (C, H, W), that differs a little from the one that they were recognised in."""
    fit = _again(channels, seen.fit, np.ones(len(seen.fit.x), bool), seen.candidates, 50)
    white = pixel_noise(channels)
    own = _own_edges(channels, fit, seen.candidates, white)
    return seen._replace(
        fit=fit,
        presence=presence_of(fit, seen.candidates, white),
        places=agreed(own, seen.candidates, white),
        own=own,
    )


def _explains(fit: JointFit, candidates: Candidates, white: Array) -> bool:
    """Whether the model explains half of the droplets to within the noise; else the residual shows where it fails."""
    present = presence_of(fit, candidates, white) >= LIKELY
    if not present.any():
        return float(np.mean(fit.residuals.reduced_chi_square)) < EXPLAINED
    return float(np.median(misfit_of(fit, white)[present])) < EXPLAINED


def _thinned(channels: Array, fit: JointFit, candidates: Candidates, white: Array) -> tuple[JointFit, Candidates]:
    """The fit without the candidates that are not present. Of two that stand for one droplet each makes the other
    needless: only the weaker of neighbours goes at once, and the other takes over its words if they are the better.
    """
    for _ in range(_THINNINGS):
        presence = presence_of(fit, candidates, white)
        doubtful = np.flatnonzero(presence < LEAST)
        if not len(doubtful):
            break
        going = np.zeros(len(presence), bool)
        for k in doubtful[np.argsort(presence[doubtful], kind="stable")]:
            near = np.hypot(fit.x - fit.x[k], fit.y - fit.y[k]) < fit.r + fit.r[k]
            going[k] = not (near & going).any()
        kept, gone = candidates.those(~going), candidates.those(going)
        fit = _again(channels, fit, ~going, kept)
        candidates = succeeded(kept, gone, fit.x, fit.y, fit.half_radius)
    return fit, candidates


def _completed(channels: Array, fit: JointFit, candidates: Candidates, white: Array) -> tuple[JointFit, Candidates]:
    """The fit without the candidates that are not present, and with the droplets that were not seen before."""
    fit, candidates = _thinned(channels, fit, candidates, white)
    for _ in range(_LOOKS):
        if not _explains(fit, candidates, white):
            break
        more = _in_residual(fit, _known_in(channels))
        before = len(candidates.x)
        if len(more.x):
            fit, candidates = _with(channels, fit, candidates, more, white)
        if len(candidates.x) <= before:
            break
    if _explains(fit, candidates, white):
        fit, candidates = _unsplit(channels, fit, candidates, white)
    return fit, candidates


def _unsplit(channels: Array, fit: JointFit, candidates: Candidates, white: Array) -> tuple[JointFit, Candidates]:
    """The fit with each droplet that was taken for two as one again."""
    taken = suspects(fit)
    if not len(taken):
        return fit, candidates
    kept = ~np.isin(np.arange(len(fit.x)), taken)
    without = _again(channels, united(fit, taken), kept, candidates.those(kept))
    members = presence_of(fit, candidates, white) >= LIKELY
    odds = np.log(max(float(members.sum()), 1.0)) + log_membership(fit, members)[taken]
    needed = taken[~needless(fit, without, taken, odds)]
    if len(needed):
        kept[needed] = True
        without = _again(channels, united(fit, np.setdiff1d(taken, needed)), kept, candidates.those(kept))
    rest, gone = candidates.those(kept), candidates.those(~kept)
    return without, succeeded(rest, gone, without.x, without.y, without.half_radius)


def _focused(
    channels: Array, fit: JointFit, candidates: Candidates, profiles: Sequence[str], white: Array
) -> tuple[JointFit, Candidates]:
    """The fit with each droplet that is out of focus as one, and of the profile that is then the likeliest."""
    if not _tells_edges(channels, fit, candidates, white):
        return fit, candidates
    tried = [_with_each_once(channels, fit, candidates)]
    if tried[0][0] is fit and not edges_differ(fit).any():
        return fit, candidates
    # What a curve over all droplets was taken for may have been the blur of some.
    for name in profiles:
        profile = profile_named(name)
        if name != fit.profile and EDGE in profile.shape_names:
            places = fit.x, fit.y, fit.half_radius / profile.half_share
            other = fit_jointly(channels, *places, profile=name, scales=fit.scales, max_steps=2 * _ROUGH)
            tried.append(_with_each_once(channels, other, candidates))
    best = likeliest_in_focus([each for each, _ in tried])
    return tried[best]


def _own_edges(channels: Array, fit: JointFit, candidates: Candidates, white: Array) -> JointFit:
    """The fit with edges of the droplets' own, where they differ."""
    return with_own_edges(fit) if _tells_edges(channels, fit, candidates, white) else fit


def _tells_edges(channels: Array, fit: JointFit, candidates: Candidates, white: Array) -> bool:
    """Whether what the fit leaves over says how soft each droplet's edge is: not where the model does not explain the
    image, nor where there are gaps in it.
    """
    return bool(_known_in(channels).all()) and _explains(fit, candidates, white)


def _with_each_once(channels: Array, fit: JointFit, candidates: Candidates) -> tuple[JointFit, Candidates]:
    """The fit without the second of each two that are one droplet out of focus; the same fit where there are none."""
    seconds, united = doubles(fit)
    if not len(seconds):
        return fit, candidates
    kept = ~np.isin(np.arange(len(fit.x)), seconds)
    rest, gone = candidates.those(kept), candidates.those(~kept)
    once = _again(channels, united, kept, rest)
    return once, succeeded(rest, gone, once.x, once.y, once.half_radius)


def _known_in(channels: Array) -> NDArray[np.bool_]:
    """Where channels (C, H, W) are known, (H, W)."""
    return np.asarray(np.isfinite(channels).all(0))


def _in_residual(fit: JointFit, known: NDArray[np.bool_]) -> Candidates:
    """Candidates in the residual where the image is known, (H, W), at the radii of the droplets; none where there is no
    droplet.
    """
    if not len(fit.x):
        return Candidates.of_residual(*(np.zeros(0),) * 3)
    peaks = residual_peaks(fit.residuals.image, fit.noise, fit.r, fit.profile, fit.shape, known)
    half = peaks.r * profile_named(fit.profile).half_share
    new = ~edges_of_droplets(fit, peaks.x, peaks.y, half)
    return Candidates.of_residual(peaks.x[new], peaks.y[new], half[new])


def _with(
    channels: Array, fit: JointFit, candidates: Candidates, more: Candidates, white: Array
) -> tuple[JointFit, Candidates]:
    """The fit with those of the new candidates that turn out to be droplets."""
    joined = candidates.and_those(more)
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
    share = profile_named(fit.profile).half_share
    new = candidates.those(np.arange(len(candidates.x)) >= kept.sum())
    return refit_jointly(
        channels,
        fit,
        kept,
        (new.x, new.y, new.radius / share),
        (candidates.x, candidates.y, candidates.radius / share),
        max_steps=max_steps,
        tolerance=_ROUGH_TOLERANCE if max_steps <= _ROUGH else TOLERANCE,
    )
