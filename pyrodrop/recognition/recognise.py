"""Which candidates are droplets: proposed, fitted together, weighed, thinned out, and sought again in the residual."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pyrodrop.detection.network.weights import SHIPPED
from pyrodrop.detection.propose import propose
from pyrodrop.joint.joint_fit import JointFit, fit_jointly
from pyrodrop.joint.one_by_one.own_edges import edges_differ, with_own_edges
from pyrodrop.joint.pixels import Pixels
from pyrodrop.joint.problem import EDGE
from pyrodrop.joint.profile_choice import choose_profile, fit_best_profile
from pyrodrop.joint.resuming.kept import digest_of
from pyrodrop.models.prior_scales import image_scales
from pyrodrop.recognition.agreement import Agreed, agreed
from pyrodrop.recognition.candidates import NOTHING_KNOWN, Candidates, OfWhole
from pyrodrop.recognition.completion import LEAST, ROUGH, ROUGH_TOLERANCE, completed, explains, fitted_again, with_more
from pyrodrop.recognition.focus import doubles, likeliest_in_focus
from pyrodrop.recognition.presence import presence_of
from pyrodrop.recognition.succession import first_words, succeeded
from pyrodrop.rendering import profile_named
from pyrodrop.results.statistics.counts import LIKELY

Array = NDArray[np.float64]

# What a recognition goes through, one after the other; those that an image does not need are left out.
STAGES = (
    "proposing circles",
    "fitting each profile",
    "looking into the residual",
    "choosing the profile",
    "weighing the droplets",
)
# A proposal less likely than this is not fitted: there are as many of them as of all others, and one in twenty is a
# droplet. It counts all the same (``statistics.unfitted``).
LEAST_FITTED = 0.1


class Recognised(NamedTuple):
    """The droplets of an image, N of them.

    fit: their joint fit. presence: probability that each is a droplet, (N,). places: where each is and how large, by
    the network and the joint fit (``agreement``). evidence: log evidence of each profile that was tried, for the part
    of the image that was asked. candidates: where each was found, and what the network says of it. own: the fit with
    edges of the droplets' own, where they differ (``joint.one_by_one.own_edges``); else the joint fit. unfitted: what
    the network proposes with less than ``LEAST_FITTED`` besides, where no candidate is.
    """

    fit: JointFit
    presence: Array
    places: Agreed
    evidence: dict[str, float]
    candidates: Candidates
    own: JointFit
    unfitted: Candidates


def recognise(
    channels: Array | Pixels,
    prominent: Array,
    profiles: Sequence[str],
    whole: OfWhole = NOTHING_KNOWN,
    weights: Path = SHIPPED,
    least_of_residual: float = LIKELY,
    device: str | torch.device = "cpu",
    watch: Callable[[str], None] = lambda stage: None,
) -> Recognised:
    """Find the droplets of an image, fit them jointly, and say of each how likely it is a droplet.

    The network proposes (``detection.propose``), the joint fit, which knows the likelihood, disposes: presence is the
    posterior of what both say (``presence``). Where the fit explains the image to within the noise, what stands out of
    its residual are candidates, too. Centre and radius are what both agree on (``agreement``).

    Args:
        channels: the image, (C, H, W); pixels that are NaN are not known. Or its ``Pixels``.
        prominent: the one channel to look for candidates in, (H, W), finite: where the image is not known, filled so
            that nothing is to be seen there.
        profiles: those to choose from by their evidence.
        whole: what is known of the image that this one is a part of.
        weights: the file of the network.
        least_of_residual: what stands out of the residual is left out if it is less likely than this.
        device: where the network looks at the image, and where the joint fit sums over its pixels.
        watch: is told which of ``STAGES`` begins.
    """
    proposing, fitting, looking, choosing, weighing = STAGES
    watch(proposing)
    pixels = Pixels.of(channels, device)
    candidates, scales = whole.candidates, whole.scales
    if candidates is None:
        candidates = _proposed(pixels, prominent.astype(np.float32), weights, device)
    likely_enough = candidates.proposed >= LEAST_FITTED
    unfitted, candidates = candidates.those(~likely_enough), candidates.those(likely_enough)
    if scales is None:
        likely = candidates.radius[candidates.proposed >= LIKELY]
        usual = likely if len(likely) else candidates.radius
        scales = image_scales(pixels.channels, float(np.median(usual)) if len(usual) else 8.0)
        scales = replace(scales, priors=whole.priors, family=whole.family)
    rough: dict[str, Any] = {"scales": scales, "max_steps": 2 * ROUGH, "tolerance": ROUGH_TOLERANCE}
    watch(fitting)
    first = first_words(candidates)
    afterthoughts, candidates = candidates.those(~first), candidates.those(first)
    fit, evidence = fit_best_profile(pixels, *candidates[:3], profiles=profiles, weight=candidates.proposed, **rough)
    watch(looking)
    if len(afterthoughts.x):
        fit, candidates = with_more(pixels, fit, candidates, afterthoughts)
    fit, candidates = completed(pixels, fit, candidates)
    if len(profiles) > 1 and len(candidates.x) and explains(pixels, fit, candidates):
        # With all droplets in place, what was taken for the profile may have been what was missing.
        watch(choosing)
        places = fit.x, fit.y, fit.half_radius
        better, evidence = choose_profile(
            pixels,
            *places,
            profiles=profiles,
            weight=presence_of(fit, candidates, pixels.white_noise),
            begun=fit,
            **rough,
        )
        if better != fit.profile:
            other = profile_named(better)
            again = fit_jointly(pixels, fit.x, fit.y, fit.half_radius / other.half_share, profile=better, **rough)
            contest = (fit, candidates), completed(pixels, again, candidates)
            # The one may do with fewer droplets than the other.
            fit, candidates = max(contest, key=lambda each: each[0].evidence.log_evidence)
    watch(weighing)
    fit, candidates = _focused(pixels, fit, candidates, profiles)
    # Not before: as long as droplets are missing or the profile is another, such corrections lead to them.
    presence = presence_of(fit, candidates, pixels.white_noise)
    # What the network has not proposed is there only if it is likelier than not: hundreds of doubtful peaks of a
    # residual would add up to droplets where nothing is.
    kept = (candidates.proposed > 0) | (presence >= least_of_residual)
    candidates = candidates.those(kept)
    fit = fitted_again(pixels, fit, kept, candidates, 50)
    presence = presence_of(fit, candidates, pixels.white_noise)
    own = _own_edges(pixels, fit, candidates)
    agreed_on = agreed(own, candidates, pixels.white_noise)
    return Recognised(fit, presence, agreed_on, evidence, candidates, own, _apart(unfitted, candidates))


def _proposed(pixels: Pixels, prominent: NDArray[np.float32], weights: Path, device: str | torch.device) -> Candidates:
    """What the network proposes in the one channel, (H, W): where it has been worked out before, as it was kept."""
    kept, digest = pixels.kept, ""
    if kept is not None:
        of_weights = hashlib.sha256(weights.read_bytes()).hexdigest()
        digest = digest_of("proposals", prominent, of_weights, str(device), LEAST)
        if (known := kept.read(digest)) is not None:
            return Candidates(**known).reaching(pixels.known)
    proposals = propose(prominent, least_presence=LEAST, weights=weights, device=device)
    candidates = Candidates.of_proposals(proposals)
    if kept is not None:
        kept.keep(digest, candidates._asdict())
    return candidates.reaching(pixels.known)


def _apart(unfitted: Candidates, candidates: Candidates) -> Candidates:
    """Those of the unfitted that no candidate from a residual, which the network has not proposed, lies within."""
    anew = candidates.those(candidates.proposed == 0)
    if not len(anew.x) or not len(unfitted.x):
        return unfitted
    nearest = np.hypot(unfitted.x[:, None] - anew.x, unfitted.y[:, None] - anew.y).min(1)
    return unfitted.those(nearest >= unfitted.radius)


def recognised_again(pixels: Pixels, seen: Recognised) -> Recognised:
    """The same droplets in an image that differs a little from the one that they were recognised in."""
    fit = fitted_again(pixels, seen.fit, np.ones(len(seen.fit.x), bool), seen.candidates, 50)
    own = _own_edges(pixels, fit, seen.candidates)
    return seen._replace(
        fit=fit,
        presence=presence_of(fit, seen.candidates, pixels.white_noise),
        places=agreed(own, seen.candidates, pixels.white_noise),
        own=own,
    )


def _focused(
    pixels: Pixels, fit: JointFit, candidates: Candidates, profiles: Sequence[str]
) -> tuple[JointFit, Candidates]:
    """The fit with each droplet that is out of focus as one, and of the profile that is then the likeliest."""
    if not _tells_edges(pixels, fit, candidates):
        return fit, candidates
    tried = [_with_each_once(pixels, fit, candidates)]
    if tried[0][0] is fit and not edges_differ(fit, pixels).any():
        return fit, candidates
    # What a curve over all droplets was taken for may have been the blur of some.
    for name in profiles:
        profile = profile_named(name)
        if name != fit.profile and EDGE in profile.shape_names:
            places = fit.x, fit.y, fit.half_radius / profile.half_share
            other = fit_jointly(pixels, *places, profile=name, scales=fit.scales, max_steps=2 * ROUGH)
            tried.append(_with_each_once(pixels, other, candidates))
    best = likeliest_in_focus([each for each, _ in tried], pixels)
    return tried[best]


def _own_edges(pixels: Pixels, fit: JointFit, candidates: Candidates) -> JointFit:
    """The fit with edges of the droplets' own, where they differ."""
    return with_own_edges(fit, pixels) if _tells_edges(pixels, fit, candidates) else fit


def _tells_edges(pixels: Pixels, fit: JointFit, candidates: Candidates) -> bool:
    """Whether what the fit leaves over says how soft each droplet's edge is: not where the model does not explain the
    image, nor where there are gaps in it or its pixels do not count alike.
    """
    return pixels.weight is None and explains(pixels, fit, candidates)


def _with_each_once(pixels: Pixels, fit: JointFit, candidates: Candidates) -> tuple[JointFit, Candidates]:
    """The fit without the second of each two that are one droplet out of focus; the same fit where there are none."""
    seconds, united = doubles(fit)
    if not len(seconds):
        return fit, candidates
    kept = ~np.isin(np.arange(len(fit.x)), seconds)
    rest, gone = candidates.those(kept), candidates.those(~kept)
    once = fitted_again(pixels, united, kept, rest)
    return once, succeeded(rest, gone, once.x, once.y, once.half_radius)
