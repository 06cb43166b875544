"""Tiles are the image, once; every centre is of one tile."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pyrodrop.workflows.tiles.grid import Box, Tile, tiles_of


@given(st.integers(8, 3_000), st.integers(8, 3_000), st.integers(64, 1_500))
def test_tiles_are_the_image_once_and_every_centre_is_of_one(height: int, width: int, tile_px: int) -> None:
    tiles = tiles_of((height, width), tile_px)
    assert sum(tile.box.size[0] * tile.box.size[1] for tile in tiles) == height * width
    assert max(max(tile.box.size) for tile in tiles) <= tile_px
    generator = np.random.default_rng(0)
    edges = np.array([tile.box.left - 0.5 for tile in tiles])
    x = np.concatenate([generator.uniform(-3, width + 3, 50), edges[:50]])
    y = generator.uniform(-3, height + 3, len(x))
    owners = np.stack([tile.owns(x, y) for tile in tiles])
    assert (owners.sum(0) == 1).all()
    for tile, owned in zip(tiles, owners, strict=True):
        assert (tile.depth(x, y)[owned] >= 0).all()


def test_a_tile_knows_its_depth() -> None:
    tile = Tile(0, 1, Box(0, 100, 100, 200), (300, 300))
    x, y = np.array([99.5, 150.0, 199.5, 150.0]), np.array([50.0, -5.0, 50.0, 99.0])
    np.testing.assert_allclose(tile.depth(x, y), [0.0, 49.5, 0.0, 0.5], atol=1e-12)
    assert list(tile.owns(x, y)) == [True, True, False, True]
