"""A small state of droplets as they look, for the tests of its fit."""

import numpy as np
import torch

from pyrodrop.joint.appearance.state import Data, Look, data_of, predicted
from pyrodrop.models.prior_scales import image_scales
from pyrodrop.rendering.appearance import COEFFICIENTS

SIZE, N, K = (60, 70), 8, 2


def looks(in_colour: bool, channels: int = 2, noise: float = 0.01) -> tuple[Look, Data]:
    """A state, and an image that it has drawn, with noise."""
    rng = np.random.default_rng(0)
    image = torch.tensor(rng.normal(0.5, 0.1, (channels, *SIZE)))
    data = data_of(image, image_scales(image.numpy(), 6.0), in_colour)
    d, e = (channels, 1) if in_colour else (1, channels)
    state = Look(
        torch.tensor(rng.uniform(4, SIZE[1] - 5, N)),
        torch.tensor(rng.uniform(4, SIZE[0] - 5, N)),
        torch.tensor(np.log(rng.uniform(4, 8, N))),
        torch.tensor(0.0, dtype=torch.float64),
        torch.tensor(rng.normal(0, 0.3, (N, K, e))),
        torch.tensor(rng.normal(0, 1, (K, d, COEFFICIENTS))),
        torch.full((channels, data.down.shape[1], data.along.shape[1]), 0.5, dtype=torch.float64),
        torch.full((channels,), float(np.log(noise)), dtype=torch.float64),
    )
    drawn = predicted(state, data)
    image = drawn + noise * torch.tensor(rng.standard_normal((channels, *SIZE)))
    seen = data_of(image, image_scales(image.numpy(), 6.0), in_colour)
    if in_colour:  # whose pictures are in units of the image's own amplitudes
        state = state._replace(pictures=state.pictures * (data.amplitude / seen.amplitude)[:, None])
    return state, seen
