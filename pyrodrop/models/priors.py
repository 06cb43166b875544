"""The post's priors: where droplets are and how large; with colours; rendered. Three plain Pyro models."""

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from pyrodrop.models.plates import droplet_plate, of_images
from pyrodrop.rendering import render

# Mean and standard deviation of the log of a radius in px, and the ends of what a channel's levels and heights may be.
LOG_RADIUS, LEVELS = (1.5, 0.75), (0.0, 1.0)


def centres(w: int, h: int, n_droplets: int) -> None:
    """The post's model 1: centres anywhere in the image and log-normal radii.

    x ~ Uniform(0, w), y ~ Uniform(0, h), r ~ LogNormal(1.5, 0.75), all in px and each of shape (n_droplets,).

    Args:
        w, h: width and height of the image in px.
        n_droplets: the number of droplets, at least 1.

    Raises:
        ValueError: for no droplets.
    """
    with droplet_plate(n_droplets):
        _centres_and_radii(w, h)


def colours(w: int, h: int, n_droplets: int) -> None:
    """The post's model 2: model 1, and each droplet's hue, saturation and value.

    h ~ Uniform(0, 1), s ~ Beta(2, 2), v ~ Beta(5, 2): biased towards brighter values. Each of shape (n_droplets,).

    Args:
        w, h: width and height of the image in px.
        n_droplets: the number of droplets.
    """
    with droplet_plate(n_droplets):
        _centres_and_radii(w, h)
        pyro.sample("h", dist.Uniform(0.0, 1.0))
        pyro.sample("s", dist.Beta(2.0, 2.0))
        pyro.sample("v", dist.Beta(5.0, 2.0))


def rendered(w: int, h: int, n_droplets: int) -> None:
    """The post's second model 2: model 1 and its image, the deterministic site ``val`` of shape (h, w).

    val = sum_k exp(-distance_k^2 / (2 r_k^2)) at every pixel: spots of height 1 that add up, on a ground of 0.

    Args:
        w, h: width and height of the image in px.
        n_droplets: the number of droplets.
    """
    with droplet_plate(n_droplets):
        x, y, r = _centres_and_radii(w, h)
    dark = r.new_zeros(())
    x, y, r = of_images(dark, x, y, r)
    pyro.deterministic("val", render(x, y, r, torch.ones_like(r), dark, (h, w)), event_dim=2)


def _centres_and_radii(w: int, h: int) -> tuple[Tensor, Tensor, Tensor]:
    x = pyro.sample("x", dist.Uniform(0.0, float(w)))
    y = pyro.sample("y", dist.Uniform(0.0, float(h)))
    r = pyro.sample("r", dist.LogNormal(*LOG_RADIUS))
    return x, y, r
