"""The network: a small pyramid of 3 x 3 convolutions, with a head at each of five levels.

It is local and fully convolutional: batch normalisation becomes part of the convolutions when it is used, so that a
tile with its surroundings gives what the whole image gives.
"""

from collections.abc import Sequence
from copy import deepcopy
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from pyrodrop.detection.network.cells import BINS_PER_LEVEL, STRIDES
from pyrodrop.detection.network.channels import N_CHANNELS

WIDTHS = (24, 48, 64, 96, 96)  # features at each level
FINE = 2  # levels that see small droplets: a convolution more on the way down
FIELD = 224  # px: no pixel further away from a cell has an effect on it; a multiple of the last stride
BASE_RATE = 0.003  # the share of cells that hold a centre, about, from which training starts


class CellOutputs(NamedTuple):
    """What a head gives, for each image, bin of the level, and cell: (B, 2, h, w) each, or (B, n, 2, h, w)."""

    logit: Tensor  # of the probability that a centre is in the cell
    offset: Tensor  # n = 2: centre less the cell's, over the stride
    log_radius: Tensor  # log radius less the bin's
    ellipse: Tensor  # n = 2: log(major / minor) times cos 2a and sin 2a
    log_scale: Tensor  # n = 3: log scale of the error of offset, log radius and ellipse
    brightness: Tensor  # logit of being brighter than its surroundings


N_OUTPUTS = 10


# Least log scales of the errors of offset, log radius and ellipse: without them the many droplets that are circles to
# the last digit would make the likelihood of their ellipses grow without end, and all else would be forgotten for it.
LEAST_LOG_SCALE = (-3.5, -4.0, -2.0)
MOST_LOG_SCALE = 2.0


def bounded_log_scale(log_scale: Tensor) -> Tensor:
    """Log scales (B, 3, ...) within their bounds, which bend softly so that the way back stays open."""
    least = torch.tensor(LEAST_LOG_SCALE, device=log_scale.device).view(-1, *[1] * (log_scale.dim() - 2))
    return (least + functional.softplus(log_scale - least)).clamp(max=MOST_LOG_SCALE)


class ConvNorm(nn.Module):
    """A 3 x 3 convolution and its batch normalisation."""

    def __init__(self, n_in: int, n_out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(n_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))

    def fold(self) -> None:
        """Make the normalisation, with its running statistics, part of the convolution."""
        norm = self.norm
        if not isinstance(norm, nn.BatchNorm2d):
            return
        assert norm.running_mean is not None
        assert norm.running_var is not None
        gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        with torch.no_grad():
            self.conv.weight.mul_(gain[:, None, None, None])
            self.conv.bias = nn.Parameter(norm.bias - norm.running_mean * gain)
        self.norm = nn.Identity()


class Pair(nn.Module):
    """Two convolutions whose result is added to what came in."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.first, self.second = ConvNorm(n, n), ConvNorm(n, n)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x).relu_()).add_(x).relu_()


def level_of(k: int, n: int) -> nn.Sequential:
    """What a level of n features does on the way down."""
    return nn.Sequential(ConvNorm(n, n), nn.ReLU(inplace=True), Pair(n)) if k < FINE else nn.Sequential(Pair(n))


class CircleNetwork(nn.Module):
    """Channels of an image (B, 4, H, W) to one CellOutputs for each level; H and W are multiples of 32."""

    def __init__(self, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        self.widths = tuple(widths)
        self.stem = ConvNorm(4 * N_CHANNELS, widths[0])
        self.level = nn.ModuleList()
        self.down = nn.ModuleList()
        for k, n in enumerate(widths):
            if k:
                self.down.append(ConvNorm(widths[k - 1], n, 2))
            self.level.append(level_of(k, n))
        self.lateral = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairwise(widths))
        self.up = nn.ModuleList(ConvNorm(n, n) for n in widths[:-1])
        self.head = nn.ModuleList(nn.Conv2d(n, N_OUTPUTS * BINS_PER_LEVEL, 1) for n in widths)
        for head in self.head:
            assert isinstance(head, nn.Conv2d)
            assert head.bias is not None
            nn.init.normal_(head.weight, std=0.01)
            nn.init.zeros_(head.bias)
            # Outputs are ordered output by output, bin by bin.
            nn.init.constant_(head.bias[:BINS_PER_LEVEL], float(torch.logit(torch.tensor(BASE_RATE))))

    def forward(self, x: Tensor) -> list[CellOutputs]:
        x = self.stem(functional.pixel_unshuffle(x, STRIDES[0])).relu_()
        features = []
        for k, level in enumerate(self.level):
            if k:
                x = self.down[k - 1](x).relu_()
            x = level(x)
            features.append(x)
        for k in range(len(self.up) - 1, -1, -1):
            above = functional.interpolate(self.lateral[k](features[k + 1]), scale_factor=2.0, mode="nearest")
            features[k] = self.up[k](above.add_(features[k])).relu_()
        return [split_outputs(head(f).float()) for head, f in zip(self.head, features, strict=True)]

    def folded(self) -> "CircleNetwork":
        """A copy for inference, its normalisations made part of the convolutions."""
        network = deepcopy(self).eval()
        for module in list(network.modules()):
            if isinstance(module, ConvNorm):
                module.fold()
        return network.requires_grad_(False)


def split_outputs(x: Tensor) -> CellOutputs:
    """The outputs (B, 20, h, w) of a head, by name."""
    x = x.unflatten(1, (N_OUTPUTS, BINS_PER_LEVEL))
    return CellOutputs(x[:, 0], x[:, 1:3], x[:, 3], x[:, 4:6], x[:, 6:9], x[:, 9])
