"""How far centres lie from the edge of what was looked at, and where whole circles have room."""

import numpy as np
import pytest

from pyrodrop.results.statistics.edge_distance import edge_distance, room_of

SIZE = (40, 60)


def test_without_a_mask_it_is_the_distance_to_the_border() -> None:
    x, y = np.array([3.0, 30.2, 58.0, -1.0]), np.array([20.0, 2.5, 20.0, 20.0])
    assert edge_distance(x, y, SIZE, None) == pytest.approx([3.0, 2.5, 1.0, -1.0])
    assert edge_distance(x, y, SIZE, np.ones(SIZE, bool)) == pytest.approx([3.0, 2.5, 1.0, -1.0])


def test_a_mask_cuts_as_the_border_does() -> None:
    """Half of an image is looked at: the distance is that in the half alone."""
    looked_at = np.ones(SIZE, bool)
    looked_at[:, 30:] = False
    generator = np.random.default_rng(0)
    x, y = generator.uniform(0, 29, 200), generator.uniform(0, 39, 200)
    assert edge_distance(x, y, SIZE, looked_at) == pytest.approx(edge_distance(x, y, (40, 30), None), abs=0.3)
    assert (edge_distance(np.array([35.0]), np.array([20.0]), SIZE, looked_at) < 0).all()


def test_room_is_the_share_in_which_a_circle_is_whole() -> None:
    d = np.array([0.0, 4.0, 10.0, 100.0])
    assert room_of(d, SIZE, None) == pytest.approx([1, (1 - 4 / 60) * (1 - 4 / 40), (1 - 10 / 60) * (1 - 10 / 40), 0])
    looked_at = np.zeros(SIZE, bool)
    looked_at[:, :30] = True
    assert room_of(d, SIZE, looked_at) == pytest.approx(room_of(d, (40, 30), None), abs=0.03)
