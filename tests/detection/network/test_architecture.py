"""The layers: shapes, what is folded, and how far a pixel has an effect."""

import pytest
import torch

from pyrodrop.detection.network.architecture import FIELD, CircleNetwork
from pyrodrop.detection.network.cells import STRIDES
from pyrodrop.detection.network.channels import N_CHANNELS

pytestmark = pytest.mark.global_rng  # layers are filled from torch's stream


def worn_network(seed: int = 0) -> CircleNetwork:
    """A network whose normalisations have seen something, so that folding them matters."""
    network = CircleNetwork()
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=random)
        network.train()(2 * torch.randn(2, N_CHANNELS, 64, 96, generator=random) + 0.5)
    return network.eval()


def noise(*shape: int) -> torch.Tensor:
    """Channels of nothing in particular."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def test_each_level_has_a_cell_every_stride() -> None:
    outputs = worn_network()(noise(2, N_CHANNELS, 64, 96))
    for stride, out in zip(STRIDES, outputs, strict=True):
        cells = (64 // stride, 96 // stride)
        assert out.logit.shape == (2, 2, *cells)
        assert out.offset.shape == (2, 2, 2, *cells)
        assert out.log_radius.shape == (2, 2, *cells)
        assert out.log_scale.shape == (2, 3, 2, *cells)


def test_folded_network_gives_the_same() -> None:
    network = worn_network()
    x = noise(1, N_CHANNELS, 64, 64)
    with torch.no_grad():
        for apart, folded in zip(network(x), network.folded()(x), strict=True):
            for a, b in zip(apart, folded, strict=True):
                torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in network.folded().modules())


def test_nothing_beyond_the_field_has_an_effect() -> None:
    """What tiles rely on: a pixel moves no cell that is further away than the field, and some cell that is nearer."""
    network = worn_network().folded()
    side = 2 * FIELD + 64
    x = noise(1, N_CHANNELS, 64, side)
    changed = x.clone()
    changed[..., side // 2] += 5
    with torch.no_grad():
        for stride, a, b in zip(STRIDES, network(x), network(changed), strict=True):
            columns = (a.logit != b.logit).any(0).any(0).any(0).nonzero()[:, 0]
            assert len(columns)
            # The nearest and furthest pixel of the cells that moved.
            assert side // 2 - int(columns.min()) * stride <= FIELD
            assert (int(columns.max()) + 1) * stride - side // 2 <= FIELD


def test_parameters_are_few() -> None:
    assert 5e5 < sum(p.numel() for p in CircleNetwork().parameters()) < 9e5
