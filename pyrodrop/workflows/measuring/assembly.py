"""From what was recognised in an image to a measurement of it."""

import time

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.joint.draws import draws
from pyrodrop.joint.joint_fit import residual_everywhere
from pyrodrop.joint.pyro_sites import sites_of
from pyrodrop.models.assumed.noise_families import NORMAL
from pyrodrop.models.support import in_image
from pyrodrop.recognition.agreement import agreed_draws
from pyrodrop.recognition.candidates import unfitted_of
from pyrodrop.recognition.completion import LEAST
from pyrodrop.recognition.recognise import Recognised
from pyrodrop.rendering import profile_named
from pyrodrop.results.statistics.unfitted import Unfitted
from pyrodrop.workflows.measuring.contents import CandidateDroplets, FittedModel, FoundDroplets, MeasuredImage
from pyrodrop.workflows.measuring.measurement import Measurement
from pyrodrop.workflows.measuring.reported import in_order
from pyrodrop.workflows.measuring.rules import EVERYTHING, Rules, keeping_to, those_keeping

Array = NDArray[np.float64]
_DRAWS = 1_000


def measurement_of(
    image: MeasuredImage, seen: Recognised, seed: int, started: float, rules: Rules = EVERYTHING
) -> Measurement:
    """The droplets that may be there, with draws of their posterior, of what was recognised.

    Those that the border cuts and whose centres lie beyond it are no droplets of this image: they would be counted in
    the next picture, too (``models.support``); nor are those whose centres lie where nothing is looked at. First come
    those that are counted, from top to bottom, then the others.

    Args:
        image: what was measured.
        seen: what was recognised in it.
        seed: of the draws.
        started: when the measurement was, by ``time.perf_counter``.
        rules: which droplets count.
    """
    fit, presence = seen.fit, seen.presence
    sighted = _in_sight(image, seen.places.x, seen.places.y) & (presence >= LEAST)
    candidate = sighted
    drawn = _draws(seen, seed)
    if rules != EVERYTHING:
        size, looked_at = (image.channels.shape[1], image.channels.shape[2]), image.looked_at
        keeps = keeping_to(rules, drawn, fit.noise, size, None if looked_at is None else looked_at.numpy())
        drawn = those_keeping(drawn, keeps, np.random.default_rng(seed))
        presence = presence * keeps.mean(0)
        candidate = sighted & (presence >= LEAST)
    unfitted = _unfitted(image, seen, presence[candidate].sum(), seen.presence[sighted].sum())
    order = in_order(seen.places.x, seen.places.y, presence, candidate, unfitted)
    n = int(candidate.sum())
    sites = sites_of(fit, order)
    return Measurement(
        image=image,
        droplets=CandidateDroplets(
            {name: torch.from_numpy(values[..., order[:n]].astype(np.float32)) for name, values in drawn.items()},
            torch.from_numpy(presence[order[:n]]),
            torch.from_numpy(fit.convergence.at_bounds[order[:n]]),
            torch.arange(n),
            torch.zeros(n, dtype=torch.bool),
            torch.tensor([float(unfitted.number), unfitted.expected], dtype=torch.float64),
        ),
        fitted=FittedModel(
            profile=fit.profile,
            scales=fit.scales,
            sites=sites,
            shape_sd=torch.from_numpy(fit.posterior.shape_sd),
            evidence=seen.evidence,
            residual=_residual(image, seen),
            reduced_chi_square=torch.from_numpy(seen.own.residuals.reduced_chi_square),
            losses=torch.from_numpy(fit.convergence.losses),
            found=FoundDroplets.of(seen.candidates.those(order), seen.own is not fit),
        ),
        seed=seed,
        seconds=time.perf_counter() - started,
        rules=rules,
    )


def _unfitted(image: MeasuredImage, seen: Recognised, kept: float, number: float) -> Unfitted:
    """What may be droplets beside those that were fitted, of which so many of the expected number keep to the rules: of
    what is not fitted, and cannot be asked, the same share does.
    """
    others = seen.unfitted.those(_in_sight(image, seen.unfitted.x, seen.unfitted.y))
    share = float(kept / number) if number > 0 else 1.0
    return unfitted_of(others.proposed, seen.candidates.proposed).share(share)


def _in_sight(image: MeasuredImage, x: Array, y: Array) -> NDArray[np.bool_]:
    """Which droplets have their centres where the image is looked at, (N,), wherever the joint fit alone has them."""
    height, width = image.channels.shape[1:]
    inside = in_image(x, y, (height, width))
    if image.looked_at is None:
        return inside
    column, row = (np.clip(np.round(at).astype(int), 0, side - 1) for at, side in ((x, width), (y, height)))
    return inside & image.looked_at.numpy()[row, column]


def _residual(image: MeasuredImage, seen: Recognised) -> Tensor:
    """Channels less all that the model says, (C, H, W), also where nothing is looked at."""
    residual = torch.from_numpy(seen.own.residuals.image)
    if image.looked_at is None and seen.fit.scales.family == NORMAL:
        return residual
    everywhere = torch.from_numpy(residual_everywhere(seen.fit, image.channels.double().numpy()).astype(np.float32))
    if image.looked_at is None or seen.fit.scales.family != NORMAL:  # the fit's own is weighed
        return everywhere
    return torch.where(image.looked_at, residual, everywhere)


def _draws(seen: Recognised, seed: int) -> dict[str, Array]:
    """Draws of all droplets; the radius is that of half height, whatever the profile.

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
    return drawn
