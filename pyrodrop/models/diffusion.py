"""How a walk spreads: the formula that the model of paths and the compiled linking have in common."""

from typing import Any


def step_variance(diffusion: Any, exponent: Any, relative_radius: Any) -> Any:
    """Variance of a step along x or y in a frame, px^2: 2 D (radius / reference)^-e, of numbers or tensors.

    By Einstein a walk spreads by 2 D a frame along each axis, and by Stokes D falls as the radius grows: e = 1.

    Args:
        diffusion: D of a droplet of the reference radius, px^2 a frame.
        exponent: e.
        relative_radius: radius over the reference radius, positive.
    """
    return 2.0 * diffusion * relative_radius**-exponent
