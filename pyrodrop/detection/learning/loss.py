"""The loss: minus the log likelihood of the true centres, their places, radii and outlines.

Each cell of each bin holds a centre or not, a Bernoulli variable: its cross-entropy is proper, so the probabilities of
any region sum to the expected number of droplets in it. Offsets, log radius and ellipse of the centres that are there
have Student's t distributions of 5 degrees of freedom, with the scales that the network gives.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from pyrodrop.detection.learning.targets import LevelTargets
from pyrodrop.detection.network.architecture import CellOutputs, bounded_log_scale

FREEDOM = 5.0
LOG_NORM = math.lgamma((FREEDOM + 1) / 2) - math.lgamma(FREEDOM / 2) - 0.5 * math.log(FREEDOM * math.pi)


def student_loss(error: Tensor, log_scale: Tensor) -> Tensor:
    """Minus the log density of errors under Student's t with the given scales."""
    z = error * torch.exp(-log_scale)
    return log_scale + (FREEDOM + 1) / 2 * torch.log1p(z.square() / FREEDOM) - LOG_NORM


def losses(
    outputs: Sequence[CellOutputs], targets: Sequence[LevelTargets], focus: float = 0.0
) -> tuple[Tensor, Tensor, Tensor]:
    """Cross-entropy of presence and minus log likelihood of the values, each summed, and the weight of droplets.

    focus: exponent of a focal factor |target - p|^focus on the presence; 0 gives the likelihood.
    """
    device = outputs[0].logit.device
    presence, values, total = (torch.zeros((), device=device) for _ in range(3))
    for out, goal in zip(outputs, targets, strict=True):
        entropy = functional.binary_cross_entropy_with_logits(out.logit, goal.presence, reduction="none")
        if focus:
            entropy = entropy * (goal.presence - out.logit.detach().sigmoid()).abs() ** focus
        presence = presence + (entropy * goal.weight).sum()
        i, b, r, c = goal.cell.unbind(1)
        scale = bounded_log_scale(out.log_scale[i, :, b, r, c])
        error = torch.cat([out.offset[i, :, b, r, c], out.log_radius[i, b, r, c][:, None]], 1) - goal.values[:, :3]
        loss = student_loss(error, scale[:, [0, 0, 1]]).sum(1)
        loss = loss + student_loss(out.ellipse[i, :, b, r, c] - goal.values[:, 3:5], scale[:, 2:3]).sum(1)
        loss = loss + functional.binary_cross_entropy_with_logits(
            out.brightness[i, b, r, c], goal.values[:, 5], reduction="none"
        )
        values = values + (loss * goal.value_weight).sum()
        total = total + goal.value_weight.sum()
    return presence, values, total
