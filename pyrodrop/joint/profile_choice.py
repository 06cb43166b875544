"""Which profile the droplets of an image have: the joint fit with each, and the evidence of each."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pyrodrop.joint.joint_fit import JointFit, fit_jointly
from pyrodrop.models.prior_scales import PriorScales, image_scales
from pyrodrop.rendering import profile_named


def fit_best_profile(
    channels: ArrayLike,
    x: ArrayLike,
    y: ArrayLike,
    half_radius: ArrayLike,
    *,
    profiles: Sequence[str] = ("gaussian", "disc", "radial"),
    scales: PriorScales | None = None,
    **options: Any,
) -> tuple[JointFit, dict[str, float]]:
    """Fit jointly with each profile, and keep that with the greatest evidence.

    Args:
        channels, x, y: as for ``fit_jointly``.
        half_radius: distance in px at which a droplet falls to half its height, shape (N,).
        profiles: those to choose from.
        scales: the same priors for all, else ``image_scales``.
        options: for ``fit_jointly``.

    Returns:
        The best, and the log evidence of each. With noise that is correlated, the evidence exaggerates.
    """
    half = np.asarray(half_radius, dtype=np.float64)
    image = np.asarray(channels, dtype=np.float64)
    if scales is None:
        scales = image_scales(image if image.ndim == 3 else image[None], float(np.median(half)) if len(half) else 8.0)
    best, evidence = None, {}
    for profile in profiles:
        r = half / profile_named(profile).half_share
        candidate = fit_jointly(image, x, y, r, profile=profile, scales=scales, **options)
        evidence[profile] = candidate.evidence.log_evidence
        if best is None or candidate.evidence.log_evidence > best.evidence.log_evidence:
            best = candidate
    if best is None:
        raise ValueError("profiles is empty: name at least one.")
    return best, evidence
