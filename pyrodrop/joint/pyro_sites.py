"""A joint fit as the Pyro model that it is the mode of: the model and the values of its sites."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.models.bspline_background import spline_basis
from pyrodrop.models.multichannel_fit import measured
from pyrodrop.models.prior_scales import PriorScales
from pyrodrop.models.support import centre_bounds
from pyrodrop.rendering import profile_named

if TYPE_CHECKING:  # a saved measurement is read without the joint fit and its SciPy
    from pyrodrop.joint.joint_fit import JointFit

# A uniform density is none at its very end.
_INSIDE = 1e-6


def sites_of(fit: "JointFit", order: NDArray[np.intp]) -> dict[str, Tensor]:
    """Values of the latent sites of ``measured`` at the mode, float64, in the sites' own shapes.

    Args:
        fit: the joint fit, C channels of H x W pixels.
        order: numbers of its droplets in the order that they are to have, (N,).
    """
    sizes = [spline_basis(side, fit.scales.spacing).shape[1] for side in fit.residuals.image.shape[1:]]
    values = {
        "x": fit.x[order],
        "y": fit.y[order],
        "r": fit.r[order],
        "amplitude": fit.amplitude[:, order],
        "bg": fit.state.bg.reshape(len(fit.noise), *sizes),
        "noise": fit.noise_scale,
    }
    place = 0
    for parameter in profile_named(fit.profile).parameters:
        part = fit.shape[place : place + parameter.size]
        values[parameter.name] = part if parameter.entries is not None else part.reshape(())
        place += parameter.size
    return {name: torch.from_numpy(np.array(value, dtype=np.float64)) for name, value in values.items()}


def model_of(
    channels: Tensor, scales: PriorScales, profile: str, sites: dict[str, Tensor], known: Tensor | None = None
) -> Callable[[], None]:
    """The Pyro model of no arguments whose mode the sites are: ``measured`` with its data.

    Centres may lie beyond the border of the image as far as the furthest of the sites' does.

    Args:
        channels: the image, (C, H, W).
        scales: those of the priors.
        profile: name of the profile.
        sites: as from ``sites_of``.
        known: pixels that are known, (H, W); None for all.
    """
    beyond = -np.inf
    for place, side in ((sites["x"], channels.shape[2]), (sites["y"], channels.shape[1])):
        low, high = centre_bounds(side)
        if len(place):
            beyond = max(beyond, low - float(place.min()), float(place.max()) - high)
    beyond = beyond + _INSIDE if beyond > -_INSIDE else 0.0
    return partial(measured, channels.double(), len(sites["x"]), scales, profile, beyond_px=beyond, known=known)


def background_of(sites: dict[str, Tensor], size: tuple[int, int], spacing: float) -> Tensor:
    """The image of the background, (C, H, W), float64, of control points as in ``sites_of``."""
    down, along = (torch.from_numpy(np.array(spline_basis(side, spacing))) for side in size)
    return down @ sites["bg"] @ along.mT
