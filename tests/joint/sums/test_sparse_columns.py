"""Compiled loops over droplets that meet, held against SciPy's slower ways."""

import numpy as np
import pytest
import scipy.sparse
from scipy.sparse.csgraph import connected_components

from pyrodrop.joint.sums.sparse_columns import columns_of_blocks, groups_of


def meeting(n: int, links: int, seed: int) -> np.ndarray:
    """Each of n with itself, and some with others, in no order."""
    generator = np.random.default_rng(seed)
    others = np.sort(generator.integers(0, n, (links, 2)), axis=1)
    pairs = np.unique(np.concatenate([others, np.repeat(np.arange(n)[:, None], 2, 1)]), axis=0)
    return np.asarray(generator.permutation(pairs))


@pytest.mark.parametrize("links", [0, 7, 40])
@pytest.mark.parametrize("width", [1, 4])
def test_columns_are_those_of_the_whole_matrix(links: int, width: int) -> None:
    n, generator = 12, np.random.default_rng(links)
    pairs = meeting(n, links, seed=1)
    blocks = generator.normal(size=(len(pairs), width, width))
    own = pairs[:, 0] == pairs[:, 1]
    blocks[own] += blocks[own].transpose(0, 2, 1)
    blocks[0, 0, 0] = 0.0
    scale = generator.uniform(0.5, 2, n * width)
    expected = np.zeros((n * width, n * width))
    for (i, j), block in zip(pairs, blocks, strict=True):
        expected[i * width : (i + 1) * width, j * width : (j + 1) * width] = block
        expected[j * width : (j + 1) * width, i * width : (i + 1) * width] = block.T
    start, row, value = columns_of_blocks(pairs, blocks, scale, 1e-30)
    matrix = scipy.sparse.csc_matrix((value, row, start), shape=expected.shape)
    assert matrix.has_canonical_format  # rows rise, none twice
    np.testing.assert_allclose(matrix.toarray(), scale[:, None] * expected * scale, rtol=1e-14, atol=1e-29)
    assert matrix.nnz == len(blocks[own].ravel()) + 2 * len(blocks[~own].ravel())
    assert (matrix.data != 0).all()


@pytest.mark.parametrize("links", [0, 5, 20, 100])
def test_groups_are_the_connected_components(links: int) -> None:
    n = 30
    pairs = meeting(n, links, seed=links)
    graph = scipy.sparse.coo_matrix((np.ones(len(pairs)), tuple(pairs.T)), shape=(n, n))
    number, expected = connected_components(graph, directed=False)
    groups = groups_of(pairs, n)
    assert groups.max() + 1 == number
    np.testing.assert_array_equal(groups, expected)
