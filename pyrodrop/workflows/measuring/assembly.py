"""From what was recognised in an image to a measurement of it."""

import time

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.joint.draws import draws
from pyrodrop.joint.pyro_sites import sites_of
from pyrodrop.models.support import in_image
from pyrodrop.recognition.agreement import agreed_draws
from pyrodrop.recognition.learnt import shared_sd
from pyrodrop.recognition.recognise import LEAST, Recognised
from pyrodrop.rendering import profile_named
from pyrodrop.results.statistics.counts import counted
from pyrodrop.workflows.measuring.contents import CandidateDroplets, FittedModel, MeasuredImage
from pyrodrop.workflows.measuring.measurement import Measurement

Array = NDArray[np.float64]
_DRAWS = 1_000


def measurement_of(image: MeasuredImage, seen: Recognised, seed: int, started: float) -> Measurement:
    """The droplets that may be there, with draws of their posterior, of what was recognised.

    Those that the border cuts and whose centres lie beyond it are no droplets of this image: they would be counted in
    the next picture, too (``models.support``). First come those that are counted, from top to bottom, then the others.

    Args:
        image: what was measured.
        seen: what was recognised in it.
        seed: of the draws.
        started: when the measurement was, by ``time.perf_counter``.
    """
    fit, presence = seen.fit, seen.presence
    candidate = in_image(fit.x, fit.y, (image.channels.shape[1], image.channels.shape[2])) & (presence >= LEAST)
    order = _in_order(seen.places.x, seen.places.y, presence, candidate)
    n = int(candidate.sum())
    sites = sites_of(fit, order)
    return Measurement(
        image=image,
        droplets=CandidateDroplets(
            _draws(seen, order[:n], seed),
            torch.from_numpy(presence[order[:n]]),
            torch.from_numpy(fit.convergence.at_bounds[order[:n]]),
        ),
        fitted=FittedModel(
            profile=fit.profile,
            scales=fit.scales,
            sites=sites,
            shape_sd=torch.from_numpy(fit.posterior.shape_sd),
            evidence=seen.evidence,
            residual=torch.from_numpy(seen.own.residuals.image),
            reduced_chi_square=torch.from_numpy(seen.own.residuals.reduced_chi_square),
            losses=torch.from_numpy(fit.convergence.losses),
        ),
        seed=seed,
        seconds=time.perf_counter() - started,
    )


def _in_order(x: Array, y: Array, presence: NDArray[np.float64], candidate: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Numbers of all droplets: the counted candidates, the other candidates, the rest, each from top to bottom."""
    candidates = np.flatnonzero(candidate)
    kind = np.full(len(presence), 2)
    kind[candidates] = np.where(counted(presence[candidates], shared_sd()), 0, 1)
    return np.lexsort((x, y, kind))


def _draws(seen: Recognised, order: NDArray[np.intp], seed: int) -> dict[str, Tensor]:
    """Draws of these droplets; the radius is that of half height, whatever the profile.

    Centre and radius are those that the joint fit and the network agree on.
    """
    fit = seen.own
    drawn = draws(fit, _DRAWS, torch.Generator().manual_seed(seed))
    if drawn["amplitude"].ndim == 2:
        drawn["amplitude"] = drawn["amplitude"][:, None]
    drawn["radius_px"] = drawn.pop("half_radius_px")
    drawn = agreed_draws(drawn, fit, seen.places, np.random.default_rng(seed))
    profile = profile_named(fit.profile)
    if profile.gaussian:
        drawn["sigma_px"] = drawn["radius_px"] / profile.half_share
    return {name: torch.from_numpy(values[..., order].astype(np.float32)) for name, values in drawn.items()}
