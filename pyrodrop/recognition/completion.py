"""Candidates that go and that come: thinned out by their presence, joined by what stands out of the residual."""

import numpy as np
from numpy.typing import NDArray

from pyrodrop.detection.residual_candidates import residual_peaks
from pyrodrop.joint.descent import TOLERANCE
from pyrodrop.joint.joint_fit import JointFit, refit_jointly
from pyrodrop.joint.pixels import Pixels
from pyrodrop.recognition.candidates import Candidates
from pyrodrop.recognition.presence import EXPLAINED, misfit_of, presence_of
from pyrodrop.recognition.succession import succeeded
from pyrodrop.rendering import profile_named
from pyrodrop.results.statistics.counts import LIKELY

Array = NDArray[np.float64]

# A candidate less likely than this is dropped; a hundred of them would not make one droplet.
LEAST = 0.01
# Rounds of thinning out, and of looking at the residual.
_THINNINGS, _LOOKS = 4, 3
# Steps of a fit that only has to tell what is there from what is not, and the gain in log density where it rests: what
# is dropped and what is kept differ by more.
ROUGH, ROUGH_TOLERANCE = 12, 0.05


def completed(pixels: Pixels, fit: JointFit, candidates: Candidates) -> tuple[JointFit, Candidates]:
    """The fit without the candidates that are not present, and with the droplets that were not seen before."""
    fit, candidates = thinned(pixels, fit, candidates)
    for _ in range(_LOOKS):
        if not explains(pixels, fit, candidates):
            break
        more = _in_residual(fit, pixels.known)
        before = len(candidates.x)
        if len(more.x):
            fit, candidates = with_more(pixels, fit, candidates, more)
        if len(candidates.x) <= before:
            break
    return fit, candidates


def thinned(pixels: Pixels, fit: JointFit, candidates: Candidates) -> tuple[JointFit, Candidates]:
    """The fit without the candidates that are not present. Of two that stand for one droplet each makes the other
    needless: only the weaker of neighbours goes at once, and the other takes over its words if they are the better.
    """
    for _ in range(_THINNINGS):
        presence = presence_of(fit, candidates, pixels.white_noise)
        doubtful = np.flatnonzero(presence < LEAST)
        if not len(doubtful):
            break
        going = np.zeros(len(presence), bool)
        for k in doubtful[np.argsort(presence[doubtful], kind="stable")]:
            near = np.hypot(fit.x - fit.x[k], fit.y - fit.y[k]) < fit.r + fit.r[k]
            going[k] = not (near & going).any()
        kept, gone = candidates.those(~going), candidates.those(going)
        fit = fitted_again(pixels, fit, ~going, kept)
        candidates = succeeded(kept, gone, fit.x, fit.y, fit.half_radius)
    return fit, candidates


def with_more(pixels: Pixels, fit: JointFit, candidates: Candidates, more: Candidates) -> tuple[JointFit, Candidates]:
    """The fit with those of the new candidates that turn out to be droplets."""
    joined = candidates.and_those(more)
    both = fitted_again(pixels, fit, np.ones(len(fit.x), bool), joined)
    return thinned(pixels, both, joined)


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


def edges_of_droplets(fit: JointFit, x: Array, y: Array, radius: Array) -> NDArray[np.bool_]:
    """Which circles (n,) lie within a fitted droplet and around its centre: nested edges are of one droplet.

    The network, which has seen droplets within droplets, has looked at the image before; what it does not propose and
    the fit leaves over there is how the droplet looks.
    """
    apart = np.hypot(x[:, None] - fit.x, y[:, None] - fit.y)
    return np.asarray(((apart < radius[:, None]) & (apart + radius[:, None] < fit.half_radius)).any(1))


def fitted_again(
    pixels: Pixels,
    fit: JointFit,
    kept: NDArray[np.bool_],
    candidates: Candidates,
    max_steps: int = ROUGH,
) -> JointFit:
    """The fit of the candidates: the kept droplets of the last fit from where they are, and those after them."""
    share = profile_named(fit.profile).half_share
    new = candidates.those(np.arange(len(candidates.x)) >= kept.sum())
    return refit_jointly(
        pixels,
        fit,
        kept,
        (new.x, new.y, new.radius / share),
        (candidates.x, candidates.y, candidates.radius / share),
        max_steps=max_steps,
        tolerance=ROUGH_TOLERANCE if max_steps <= ROUGH else TOLERANCE,
    )


def explains(pixels: Pixels, fit: JointFit, candidates: Candidates) -> bool:
    """Whether the model explains half of the droplets to within the noise; else the residual shows where it fails."""
    present = presence_of(fit, candidates, pixels.white_noise) >= LIKELY
    if not present.any():
        return float(np.mean(fit.residuals.reduced_chi_square)) < EXPLAINED
    return float(np.median(misfit_of(fit, pixels.white_noise)[present])) < EXPLAINED
