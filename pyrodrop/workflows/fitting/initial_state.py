"""The initial state of a fit, drawn uniformly as in the post or put at the peaks of the image; its learning rate."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from pyrodrop.inference import svi
from pyrodrop.inference.density import Density
from pyrodrop.pursuit.evidence import as_sites, site_widths
from pyrodrop.pursuit.start import Start, peaks
from pyrodrop.workflows.fit_settings import FitSettings
from pyrodrop.workflows.fitting.search_assumptions import Searched, searched


def initial_state(density: Density, channel: Tensor, settings: FitSettings) -> svi.State:
    """The state before the first step, for one or several starts side by side.

    With ``start="uniform"`` the means are uniform in (-2, 2) in unconstrained space and the widths 0.1, as in the post.
    With "peaks" they are at the peaks of the image, with the widths that the image gives them; of several starts, all
    but the first are at the peaks of the image with fresh noise added to it.

    Args:
        density: of ``channel_fit``.
        channel: (H, W).
        settings: of the fit; the number of droplets is a number.
    """
    seed, restarts = settings.seed, settings.restarts
    if settings.start == "uniform":
        return svi.start(density, svi.uniform_start(density, seed, starts=restarts), seed=seed)
    generator = torch.Generator().manual_seed(seed)
    looked = searched(channel, settings)
    channel, error_scale = looked.channel, looked.error_scale
    starts = [peaks(channel, settings.n_droplets, error_scale=error_scale, **looked.ranges)]
    for _ in range(restarts - 1):
        noise = error_scale * torch.randn(channel.shape, generator=generator, dtype=channel.dtype)
        starts.append(peaks(channel + noise, settings.n_droplets, error_scale=error_scale, **looked.ranges))
    return svi.start(density, *guide_at(density, starts, looked), seed=seed)


def guide_at(density: Density, starts: Iterable[Start], looked: Searched) -> tuple[Tensor, Tensor]:
    """Means and standard deviations (R, D) in unconstrained space of a mean-field guide at droplets of R starts.

    Args:
        density: of ``channel_fit``, over D numbers.
        starts: the droplets of each start.
        looked: what the search took for granted.
    """
    channel, error_scale = looked.channel, looked.error_scale
    size = (channel.shape[0], channel.shape[1])
    loc, scale = [], []
    for droplets in starts:
        means = density.unconstrained(as_sites(droplets, size, looked.support))
        wide = site_widths(droplets, size, error_scale)
        flat = torch.cat([wide[site.name].reshape(-1) for site in density.sites]).to(means)
        loc.append(means)
        # A width wider than this says no more than the prior does.
        scale.append((flat * density.stretch(means)).clamp(1e-6, 1.0))
    return torch.stack(loc), torch.stack(scale)


def learning_rate(settings: FitSettings, iteration: int) -> float:
    """Adam's learning rate at an iteration, counted from 0.

    From the post's start it is constant, as in the post. From the peaks there is no way to go: it halves every 200
    iterations, to no less than a hundredth, so that the noise of the gradient averages out.
    """
    if settings.start == "uniform":
        return settings.learning_rate
    return settings.learning_rate * max(math.pow(0.5, iteration / 200), 0.01)
