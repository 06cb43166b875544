"""An image seen as it is, and turned round and inverted."""

import numpy as np
import pytest
import torch
from torch import Tensor

from pyrodrop.detection.network.both_ways import both_ways, cells_of_both
from pyrodrop.detection.network.cells import STRIDES
from pyrodrop.detection.network.peaks import Cells, cells_of, joined
from pyrodrop.detection.network.weights import network_for_use
from pyrodrop.detection.propose import one_thread

SIDE = 2 * STRIDES[-1]
network = network_for_use().network


def noise() -> Tensor:
    channels = torch.randn((1, 4, SIDE, SIDE), generator=torch.Generator().manual_seed(0))
    channels[:, 3] = 1
    return channels


def moments(cells: Cells, x: np.ndarray, y: np.ndarray, brightness: np.ndarray) -> np.ndarray:
    """Means of what the cells say, weighed by presence: they do not depend on the cells' order."""
    said = np.stack([np.ones_like(x), x, y, x * y, x**2, cells.log_radius, brightness, brightness * x])
    return np.asarray(said @ cells.presence)


@torch.no_grad()
def test_an_image_and_the_same_turned_and_inverted_have_the_same_cells_turned() -> None:
    channels = noise()
    turned = torch.cat([-channels[:, :3], channels[:, 3:]], 1).flip(-2, -1)
    one, other = (cells_of_both(both_ways(network, image)) for image in (channels, turned))
    assert len(one.x) == len(other.x) > 0
    last = SIDE - 1
    back = moments(other, last - other.x, last - other.y, 1 - other.brightness)
    assert back == pytest.approx(moments(one, one.x, one.y, one.brightness), rel=1e-3)


@torch.no_grad()
def test_either_way_counts_half() -> None:
    ways = both_ways(network, noise())
    alone = [joined([cells_of(outputs, level) for level, outputs in enumerate(way)]).presence.sum() for way in ways]
    assert alone[0] != pytest.approx(alone[1], rel=1e-3)  # two looks, not one twice
    assert cells_of_both(ways).presence.sum() == pytest.approx(sum(alone) / 2)


def test_at_once_they_say_the_same_to_the_last_digit() -> None:
    with one_thread():
        with torch.no_grad():
            one_by_one = both_ways(network, noise())
        at_once = both_ways(network, noise(), at_once=True)
    for ways in zip(one_by_one, at_once, strict=True):
        for levels in zip(*ways, strict=True):
            assert all(torch.equal(*values) for values in zip(*levels, strict=True))
