"""An image seen as it is, and turned round and inverted."""

import numpy as np
import pytest
import torch
from torch import Tensor

from pyrodrop.detection.network.both_ways import Part, cells_of_both
from pyrodrop.detection.network.cells import STRIDES
from pyrodrop.detection.network.parts import Window
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


def whole(channels: Tensor) -> Part:
    """All of an image, as one window."""
    return Part(channels, Window(0, channels.shape[-2], 0, channels.shape[-1]))


def test_an_image_and_the_same_turned_and_inverted_have_the_same_cells_turned() -> None:
    channels = noise()
    turned = torch.cat([-channels[:, :3], channels[:, 3:]], 1).flip(-2, -1)
    one, other = (cells_of_both(network, whole(image)) for image in (channels, turned))
    assert len(one.x) == len(other.x) > 0
    last = SIDE - 1
    back = moments(other, last - other.x, last - other.y, 1 - other.brightness)
    assert back == pytest.approx(moments(one, one.x, one.y, one.brightness), rel=1e-3)


def test_either_way_counts_half() -> None:
    channels = noise()
    turned = torch.cat([-channels[:, :3], channels[:, 3:]], 1).flip(-2, -1)
    with torch.no_grad():
        ways = network(channels), network(turned)
    alone = [joined([cells_of(outputs, level) for level, outputs in enumerate(way)]).presence.sum() for way in ways]
    assert alone[0] != pytest.approx(alone[1], rel=1e-3)  # two looks, not one twice
    assert cells_of_both(network, whole(channels)).presence.sum() == pytest.approx(sum(alone) / 2)


@pytest.mark.parametrize("window", [Window(0, SIDE, 0, SIDE), Window(32, SIDE, 0, 32)])
def test_strip_by_strip_they_say_what_they_say_at_once(window: Window) -> None:
    at_once = cells_of_both(network, Part(noise(), window))
    in_strips = cells_of_both(network, Part(noise(), window), strip=100)
    assert len(in_strips.x) == len(at_once.x) > 0
    ordered = [np.array(cells)[:, np.lexsort(np.round(cells[1:4], 3))] for cells in (at_once, in_strips)]
    assert ordered[1] == pytest.approx(ordered[0], rel=1e-3, abs=1e-3)


def test_a_window_has_the_cells_that_lie_in_it() -> None:
    window = Window(32, SIDE, 0, 32)
    cells = [
        cells_of_both(network, Part(noise(), w, 64, 96)) for w in (Window(64, 128, 96, 160), Window(96, 128, 96, 128))
    ]
    alone = cells_of_both(network, Part(noise(), window))
    assert len(cells[1].x) == len(alone.x)
    assert cells[1].x == pytest.approx(alone.x + 96, abs=1e-4)
    assert cells[1].y == pytest.approx(alone.y + 64, abs=1e-4)
    assert 0 < len(cells[1].x) < len(cells[0].x)


def test_at_once_they_say_the_same_to_the_last_digit() -> None:
    with one_thread():
        one_by_one = cells_of_both(network, whole(noise()))
        at_once = cells_of_both(network, whole(noise()), at_once=True)
    assert all(np.array_equal(*values) for values in zip(one_by_one, at_once, strict=True))
