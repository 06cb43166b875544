"""The precision of a small state written out, column by column."""

import torch
from torch import Tensor

from pyrodrop.joint.appearance.fit import unit_prior
from pyrodrop.joint.appearance.state import Data, Look, Step
from pyrodrop.joint.appearance.tangent import curvature, tangent_at


def dense_deviations(state: Look, data: Data) -> Tensor:
    """Standard deviations of x, y in px and of log r, (N, 3), from the inverse of the whole precision."""
    tangent = tangent_at(state, data, unit_prior(state.pictures))
    shapes = ((len(state.x), 3), state.weights.shape, state.pictures.shape, state.bg.shape, (1,))
    sizes = [torch.Size(shape).numel() for shape in shapes]
    columns = []
    for row in torch.eye(sum(sizes), dtype=torch.float64):
        step = Step(*(part.reshape(shape) for part, shape in zip(row.split(sizes), shapes, strict=True)))
        columns.append(torch.cat([part.reshape(-1) for part in curvature(tangent, step)]))
    whole = torch.stack(columns)
    variance = torch.linalg.inv((whole + whole.mT) / 2).diagonal()[: sizes[0]].reshape(-1, 3)
    scale = torch.ones_like(variance)
    scale[:, :2] = state.log_r.exp()[:, None]
    return variance.sqrt() * scale
