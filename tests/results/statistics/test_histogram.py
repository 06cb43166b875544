"""The size histogram: shares, its band, and bins that fit the sizes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from pyrodrop.results.statistics.histogram import size_histogram


def test_known_diameters_are_counted() -> None:
    d = np.array([[1.5, 2.5, 2.6, 3.5]])
    histogram = size_histogram(d, bins=[1, 2, 3, 4])
    np.testing.assert_allclose(histogram.share, [0.25, 0.5, 0.25])
    assert (histogram.q05 < histogram.share).all()
    assert (histogram.q95 > histogram.share).all()


def test_the_band_holds_the_share_of_the_population() -> None:
    edges = np.array([4.0, 8, 10, 12, 16])
    truth = np.diff(norm.cdf(np.log(edges), np.log(10), 0.25))
    held = []
    for seed in range(150):
        d = np.exp(np.random.default_rng(seed).normal(np.log(10), 0.25, 60))
        histogram = size_histogram(d[None], bins=edges, replicates=300, seed=seed)
        held.append((histogram.q05 <= truth) & (truth <= histogram.q95))
    share = np.mean(held, 0)
    assert ((share > 0.8) & (share < 0.99)).all()


def test_an_empty_bin_has_a_band_that_starts_at_none() -> None:
    histogram = size_histogram(np.full((1, 20), 5.0), bins=[1, 4, 6])
    assert histogram.q05[0] == 0
    assert 0.02 < histogram.q95[0] < 0.2


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 60), st.floats(0.05, 1.5), st.integers(0, 9999))
def test_bins_hold_all_droplets(n: int, sigma: float, seed: int) -> None:
    d = np.exp(np.random.default_rng(seed).normal(2, sigma, (1, n)))
    histogram = size_histogram(d, replicates=20)
    assert (np.diff(histogram.edges) > 0).all()
    assert 5 <= len(histogram.share) <= 41
    assert histogram.share.sum() == pytest.approx(1.0 if n else 0.0)
    assert histogram.expected == n


def test_wide_sizes_are_binned_by_their_logarithm() -> None:
    generator = np.random.default_rng(0)
    wide, narrow = (size_histogram(np.exp(generator.normal(2, s, (1, 300))), replicates=20) for s in (1.0, 0.1))
    assert wide.logarithmic
    assert not narrow.logarithmic
    np.testing.assert_allclose(np.diff(np.log(wide.edges)), np.diff(np.log(wide.edges))[0])


def test_micrometres_and_presence() -> None:
    d = np.array([[10.0, 20.0]])
    histogram = size_histogram(d, [1, 0], pixel_size_um=0.5, bins=[4, 6, 12], replicates=50)
    assert histogram.unit == "um"
    assert histogram.share.tolist() == [1, 0]
    assert histogram.expected == 1


@pytest.mark.parametrize(
    ("d", "more", "message"),
    [
        ([1.0], {}, "draws of shape"),
        ([[-1.0]], {}, "not positive"),
        ([[1.0]], {"presence": [1, 1]}, "presence has 2"),
        ([[1.0]], {"bins": [3, 2]}, "do not rise"),
    ],
)
def test_what_makes_no_sense_is_refused(d: object, more: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        size_histogram(d, **more)


def test_bins_hold_droplets_that_are_alike_and_all_of_one_size_or_all_of_another() -> None:
    """Whether an edge is blurred by optics is the same for all: their medians lie at one of the two sizes alone."""
    random = np.random.default_rng(1)
    of_optics = random.random((1000, 1)) < 0.51
    diameters = np.where(of_optics, 24.6, 22.4) + 0.05 * random.standard_normal((1000, 12))
    binned = size_histogram(diameters)
    assert binned.share.sum() > 0.9
    assert binned.edges[0] < 22.4 < 24.6 < binned.edges[-1]
