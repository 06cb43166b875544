"""Pixels filled so that nothing is to be seen in their places."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pyrodrop.images.gap_fill import filled_smoothly

NO_NOISE = np.zeros(1)


@settings(max_examples=50, deadline=None)
@given(arrays.arrays(bool, st.tuples(st.integers(2, 23), st.integers(2, 23))), st.integers(0, 5))
def test_what_is_known_stays_and_what_is_filled_lies_between(known: np.ndarray, seed: int) -> None:
    known[0, 0] = True
    values = np.random.default_rng(seed).normal(size=(1, *known.shape))
    filled = filled_smoothly(np.where(known, values, np.nan), known, NO_NOISE)
    assert (filled[:, known] == values[:, known]).all()
    assert filled.min() >= values[:, known].min() - 1e-12
    assert filled.max() <= values[:, known].max() + 1e-12


def test_of_a_slope_a_hole_is_filled_by_the_slope() -> None:
    slope = 0.2 + 0.01 * np.arange(60.0)[:, None] + 0.005 * np.arange(80.0)
    known = np.ones(slope.shape, bool)
    known[20:40, 30:60] = False
    filled = filled_smoothly(np.where(known, slope, np.nan)[None], known, NO_NOISE)[0]
    steps = np.abs(np.diff(filled, axis=0)).max(), np.abs(np.diff(filled, axis=1)).max()
    assert np.abs(filled - slope).max() < 0.15 * np.ptp(slope)
    assert max(steps) < 0.05  # no edge, where the image itself has steps of 0.01


def test_the_noise_is_that_of_the_image_and_the_same_for_the_same_seed() -> None:
    noise = 0.05 * np.random.default_rng(0).standard_normal((2, 80, 90)) * np.array([1.0, 2.0])[:, None, None]
    known = np.ones((80, 90), bool)
    known[10:70, 20:80] = False
    filled = filled_smoothly(noise, known, np.array([0.05, 0.1]))
    assert filled[:, ~known].std(1) == pytest.approx([0.05, 0.1], rel=0.1)
    assert (filled == filled_smoothly(noise, known, np.array([0.05, 0.1]))).all()
    with pytest.raises(ValueError, match="no pixel"):
        filled_smoothly(noise, np.zeros((80, 90), bool), np.ones(2))
