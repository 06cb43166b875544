"""The plate of the droplets, and how their sites meet those of the image under plates of the caller's."""

import pyro
from torch import Tensor


def droplet_plate(n_droplets: int) -> pyro.plate:
    """The plate "droplets", whose dimension is the last; plates around it take those to the left.

    Args:
        n_droplets: the number of droplets, at least 1.

    Raises:
        ValueError: for no droplets, which Pyro has no plate for.
    """
    if n_droplets < 1:
        raise ValueError(f"n_droplets is {n_droplets}, expected at least 1: a plate of Pyro's cannot be empty")
    return pyro.plate("droplets", n_droplets, dim=-1)


def of_images(level: Tensor, *droplets: Tensor) -> tuple[Tensor, ...]:
    """Sites of droplets with the leading dimensions of the image that they are of, as the renderer wants them.

    A site of the image, such as its level, has the shape (), and under outer plates (..., 1): the last dimension is
    kept for the droplets. So beside it droplets (..., N) are (..., 1, N). A site that was conditioned on a value may
    lack the outer dimensions, which then broadcast.

    Args:
        level: a site of the image, shape () or (..., 1).
        droplets: sites of its droplets, each (N,) or (..., N).
    """
    if level.dim() == 0 and all(site.dim() == 1 for site in droplets):
        return droplets
    return tuple(site.unsqueeze(-2) for site in droplets)
