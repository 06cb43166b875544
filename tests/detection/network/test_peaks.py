"""From cells to circles: nothing said is lost, and what speaks of one droplet is one circle."""

import math

import numpy as np
import pytest

from pyrodrop.detection.network.peaks import Cells, joined, neighbours, peaks


def cells(rows: list[tuple[float, float, float, float]]) -> Cells:
    """Cells of these presences and circles (p, x, y, r)."""
    p, x, y, r = np.array(rows, float).reshape(-1, 4).T
    zero = np.zeros_like(p)
    return Cells(p, x, y, np.log(r), zero + 0.1, zero + 0.02, zero, zero, zero + 0.5)


def test_parts_of_a_droplet_become_one_with_their_sum() -> None:
    peak = peaks(cells([(0.3, 10, 10, 5), (0.5, 10.4, 10, 5.2), (0.15, 10.2, 10.4, 4.8)]))
    assert peak.presence == pytest.approx([0.95])
    assert peak.x == pytest.approx([(0.3 * 10 + 0.5 * 10.4 + 0.15 * 10.2) / 0.95])
    assert peak.centre_sd[0] > 0.1  # they disagree


def test_no_parts_have_no_cells() -> None:
    none = peaks(joined([]))
    assert none._fields == Cells._fields
    assert all(column.shape == (0,) and column.dtype == np.float64 for column in none)
    part = cells([(0.3, 10, 10, 5)])
    np.testing.assert_equal(joined([part]), part)


def test_presence_is_at_most_one() -> None:
    assert peaks(cells([(0.8, 10, 10, 5), (0.7, 10, 10, 5)])).presence == pytest.approx([1])


def test_a_circle_within_another_stays() -> None:
    assert len(peaks(cells([(0.9, 10, 10, 5), (0.9, 10, 10, 8)])).presence) == 2


def test_touching_droplets_stay_two() -> None:
    assert len(peaks(cells([(0.9, 10, 10, 5), (0.6, 20, 10, 5), (0.35, 19.6, 10, 5)])).presence) == 2


def test_nothing_is_lost() -> None:
    rng = np.random.default_rng(0)
    rows = np.stack([0.05 * rng.random(300), *(100 * rng.random((2, 300))), np.exp(rng.uniform(0.5, 3, 300))], 1)
    many = cells(rows.tolist())
    result = peaks(many)
    assert result.presence.sum() == pytest.approx(many.presence.sum())
    assert (np.diff(result.presence) <= 0).all()


def test_the_order_of_the_cells_does_not_matter() -> None:
    rng = np.random.default_rng(1)
    rows = np.stack([rng.random(80), *(60 * rng.random((2, 80))), np.exp(rng.uniform(0.5, 3, 80))], 1)
    a, b = peaks(cells(rows.tolist())), peaks(cells(rng.permutation(rows).tolist()))
    for first, second in zip(a, b, strict=True):
        np.testing.assert_allclose(first, second)


@pytest.mark.parametrize(("log_limit", "sds"), [(math.log(2) / 2, 0.0), (math.log(2), 2.0)])
def test_neighbours_are_those_of_the_definition(log_limit: float, sds: float) -> None:
    rng = np.random.default_rng(2)
    x, y, log_radius, sd = *(40 * rng.random((2, 200))), rng.uniform(0, 4, 200), rng.uniform(0.1, 1, 200)
    zero = np.zeros(200)
    pairs = neighbours(Cells(zero, x, y, log_radius, sd, zero, zero, zero, zero), log_limit, sds)
    radius = np.exp(log_radius)
    expected = {
        (a, b)
        for a in range(200)
        for b in range(a + 1, 200)
        if abs(log_radius[a] - log_radius[b]) < log_limit
        and math.hypot(x[a] - x[b], y[a] - y[b]) < 0.5 * min(radius[a], radius[b]) + sds * math.hypot(sd[a], sd[b])
    }
    assert set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)) == expected
    assert len(pairs.first) == len(expected)


def test_alternatives_of_radius_are_one_droplet() -> None:
    peak = peaks(cells([(0.5, 10, 10, 3), (0.4, 10.2, 10, 5)]))
    assert peak.presence == pytest.approx([0.9])
    assert peak.log_radius_sd[0] > 0.2
    assert len(peaks(cells([(0.9, 10, 10, 3), (0.8, 10.2, 10, 5)])).presence) == 2


def test_no_cells_no_circles() -> None:
    assert len(peaks(cells([])).presence) == 0
