"""What two tiles saw at a seam is told once, and nothing is lost there."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pyrodrop.workflows.tiles.grid import tiles_of
from pyrodrop.workflows.tiles.seams import Estimates, reconciled


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_every_droplet_is_told_once_however_tiles_differ_about_its_centre(seed: int) -> None:
    """Tiles that see the same droplets, each with an error of its own: exactly one estimate of each is kept."""
    generator = np.random.default_rng(seed)
    size, tile_px, halo, error = (300, 300), 100, 30, 0.3
    tiles = tiles_of(size, tile_px)
    # On a jittered grid, so that no two are as near as two estimates of one may be; every other on a seam.
    at = np.arange(12, 300, 25.0)
    x, y = (axis.ravel() + generator.uniform(-4, 4, 144) for axis in np.meshgrid(at, at))
    on_seam = generator.random(144) < 0.5
    x = np.where(on_seam, np.round(x / 100) * 100 - 0.5 + generator.normal(0, 0.2, 144), x)
    x = np.where((x < 5) | (x > 295), 12, x)
    apart = np.hypot(x[:, None] - x, y[:, None] - y) + 1e3 * np.eye(144)
    alone = apart.min(1) > 12
    x, y = x[alone], y[alone]
    rows = []
    for number, tile in enumerate(tiles):
        u, v = x + generator.normal(0, error, len(x)), y + generator.normal(0, error, len(y))
        depth, own = tile.depth(u, v), tile.owns(u, v)
        near = np.flatnonzero(own | (depth > -halo / 2))
        rows += [(u[k], v[k], 6.0, error, number, depth[k], own[k], k) for k in near]
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    kept = reconciled(Estimates(*columns[:7], np.full(len(rows), 0.9)))
    assert sorted(columns[7][kept]) == list(range(len(x)))


def test_a_droplet_on_the_line_that_each_tile_puts_beyond_itself_is_kept_once() -> None:
    left, right = tiles_of((50, 200), 100)
    both = [(left, 99.7), (right, 99.3)]
    assert not any(tile.owns(np.array([x]), np.array([20.0]))[0] for tile, x in both)
    seen = Estimates(
        np.array([x for _, x in both]),
        np.array([20.0, 20.1]),
        np.array([5.0, 5.0]),
        np.array([0.1, 0.1]),
        np.array([0, 1]),
        np.array([tile.depth(np.array([x]), np.array([20.0]))[0] for tile, x in both]),
        np.array([False, False]),
        np.array([0.9, 0.8]),
    )
    assert reconciled(seen).sum() == 1


def test_neighbours_on_either_side_of_a_seam_stay_two() -> None:
    """Two droplets that touch, each seen by both tiles."""
    x = np.array([96.0, 103.0, 96.1, 103.1])
    left, right = tiles_of((50, 200), 100)
    tile = np.array([0, 0, 1, 1])
    y = np.full(4, 20.0)
    depth = np.where(tile == 0, left.depth(x, y), right.depth(x, y))
    own = np.where(tile == 0, left.owns(x, y), right.owns(x, y))
    kept = reconciled(Estimates(x, y, np.full(4, 4.0), np.full(4, 0.1), tile, depth, own, np.full(4, 0.9)))
    assert sorted(np.flatnonzero(kept)) == [0, 3]


def test_an_afterthought_does_not_take_the_place_of_the_droplet_it_lies_on() -> None:
    """Two tiles see a droplet on their seam, and one of them a doubtful circle nearer to where the other has it."""
    x = np.array([99.4, 99.7, 99.65])
    left, right = tiles_of((50, 200), 100)
    tile = np.array([0, 1, 0])
    y = np.full(3, 20.0)
    depth = np.where(tile == 0, left.depth(x, y), right.depth(x, y))
    own = np.where(tile == 0, left.owns(x, y), right.owns(x, y))
    presence = np.array([0.99, 0.99, 0.06])
    kept = reconciled(Estimates(x, y, np.array([7.2, 7.1, 9.0]), np.full(3, 0.1), tile, depth, own, presence))
    assert (presence[kept] > 0.9).sum() == 1
