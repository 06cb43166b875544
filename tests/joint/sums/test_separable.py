"""Sums of Gaussians along two lines are those over all pixels of their windows."""

import numpy as np
import pytest

from pyrodrop.joint.sums.separable import gram_of_gaussians
from pyrodrop.joint.sums.windows import gram, meetings
from pyrodrop.rendering import profile_named
from pyrodrop.rendering.kernels.columns import columns_of_droplets


def test_products_of_gaussians_are_those_of_their_pixels() -> None:
    g = np.random.default_rng(0)
    profile = profile_named("gaussian")
    x, y, r = g.uniform(-3, 83, 25), g.uniform(-3, 63, 25), g.uniform(0.8, 7, 25)
    columns = columns_of_droplets(profile, x, y, r, np.zeros(0), (60, 80), profile.left_out)
    pairs = meetings(columns.box)
    by_pixels, by_lines = (np.empty((len(pairs), 4, 4)) for _ in range(2))
    gram(columns.windowed, pairs, by_pixels)
    gram_of_gaussians(x, y, r, columns.box, pairs, by_lines)
    own = np.sqrt(np.einsum("npp->np", by_pixels[np.argsort(pairs[:, 0] + 1e6 * (pairs[:, 0] != pairs[:, 1]))][:25]))
    scale = own[pairs[:, 0]][:, :, None] * own[pairs[:, 1]][:, None, :]
    # Of those that lie beyond the border, corners are a larger part of what is seen.
    assert (np.abs(by_lines - by_pixels) / scale).max() < 1e-3
    assert np.median(np.abs(by_lines - by_pixels) / scale) < 1e-5
    assert (np.abs(by_pixels) / scale).max() == pytest.approx(1.0)
