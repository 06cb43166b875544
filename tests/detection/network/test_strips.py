"""A network strip by strip of rows: what it says of the whole image."""

import pytest
import torch

from pyrodrop.detection.network.architecture import FINE
from pyrodrop.detection.network.strips import strips_of
from pyrodrop.detection.network.weights import network_for_use

SHAPES = [(96, 64), (64, 160), (160, 32)]
network = network_for_use().network


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("cells", [1, 300, 10**6])
def test_strips_say_what_the_network_says(shape: tuple[int, int], cells: int) -> None:
    channels = torch.randn((1, 4, *shape), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        whole = network(channels)
    rows = [0] * len(whole)
    for level, row, outputs in strips_of(network, channels, cells):
        assert row == rows[level]
        rows[level] += outputs.logit.shape[-2]
        for part, values in zip(outputs, whole[level], strict=True):
            torch.testing.assert_close(part, values[..., row : rows[level], :], rtol=1e-4, atol=1e-4)
    assert rows == [outputs.logit.shape[-2] for outputs in whole]


def test_small_strips_are_many() -> None:
    channels = torch.zeros(1, 4, 128, 64)
    levels = [strip.level for strip in strips_of(network, channels, 1)]
    assert levels.count(0) == 32
    assert len(set(levels)) == len(network.level) > FINE
