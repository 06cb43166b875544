"""Where pictures themselves end: circles that are larger than their droplets, or beside them, put onto the outline.

Pictures that end before |u| = 1 draw droplets in circles that are too large nearly as well as in the right ones, and a
descent hardly leaves that. In each direction t the pictures' outer edge is the largest rho(t) at which

    e(rho, t)^2 = sum_k s_k P_k(rho, t)^2,    s_k the mean square weight of picture k,

is at least half of the root mean square of e over the disc. The circle of least squares through these edges is where
all circles would have to lie; whether the image is the better for it, the fit says.
"""

import torch

from pyrodrop.joint.appearance.state import Data, Look, picture_units
from pyrodrop.rendering.appearance import smooth_parts

_DIRECTIONS, _STEPS = 64, 100


def on_outline(state: Look, data: Data) -> Look:
    """The state with all circles moved and grown alike, to where the pictures' own outer edge is."""
    like = state.x
    angle = torch.arange(_DIRECTIONS, dtype=like.dtype, device=like.device) * (2 * torch.pi / _DIRECTIONS)
    rho = (torch.arange(_STEPS, dtype=like.dtype, device=like.device) + 1) / _STEPS
    u, v = (rho[:, None] * part for part in (angle.cos(), angle.sin()))
    values = smooth_parts(u, v, picture_units(state, data))  # (steps, directions, K, D)
    energy = (values.square() * state.weights.square().mean(0)).sum((2, 3))
    mean = (energy * rho[:, None]).sum() / (rho.sum() * _DIRECTIONS)
    reached = torch.where(energy >= mean / 4, rho[:, None], rho[0]).amax(0)
    x, y = reached * angle.cos(), reached * angle.sin()
    # The circle a x + b y + c = x^2 + y^2 of least squares (Kasa 1976), centre (a, b) / 2.
    columns = torch.stack([x, y, torch.ones_like(x)], 1)
    a, b, c = torch.linalg.lstsq(columns, (x * x + y * y)[:, None]).solution[:, 0]
    radius = (c + (a * a + b * b) / 4).clamp(min=1e-4).sqrt()
    r = state.log_r.exp()
    return state._replace(x=state.x + r * a / 2, y=state.y + r * b / 2, log_r=state.log_r + radius.log())
