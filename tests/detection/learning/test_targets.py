"""What is asked for is found again where it was put."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pyrodrop.detection.learning.targets import LevelTargets, encode
from pyrodrop.detection.network.architecture import CellOutputs
from pyrodrop.detection.network.peaks import Cells, cells_of, joined, peaks

SIDE = 128


def circle(
    x: float, y: float, r: float, ratio: float = 1.0, angle: float = 0.0, detectability: float = 50.0
) -> list[float]:
    """A row of a simulated table."""
    return [x, y, r, ratio, angle, detectability, 0, 1]


def encoded(rows: list[list[float]]) -> list[LevelTargets]:
    """Targets of one image."""
    return encode(torch.zeros(len(rows), dtype=torch.long), torch.tensor(rows).reshape(-1, 8), 1, SIDE, SIDE)


def told(targets: list[LevelTargets]) -> Cells:
    """The circles that a network would propose that says just what it was asked for."""
    parts = []
    for level, goal in enumerate(targets):
        logit = torch.where(goal.presence > 0, 10.0, -30.0)
        shape = logit.shape
        values = torch.zeros(6, *shape)
        b, n, r, c = goal.cell.T
        values[:, b, n, r, c] = goal.values.T
        outputs = CellOutputs(
            logit,
            values[:2].transpose(0, 1),
            values[2],
            values[3:5].transpose(0, 1),
            torch.full((1, 3, *shape[1:]), -4.0),
            values[5],
        )
        parts.append(cells_of(outputs, level))
    return peaks(joined(parts))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_circles_that_do_not_overlap_come_back(seed: int) -> None:
    """Their centres are more than a cell's diagonal apart, whatever their radii from 1.5 px."""
    rng = np.random.default_rng(seed)
    rows: list[list[float]] = []
    for _ in range(60):
        x, y, r = *rng.uniform(0, SIDE - 1, 2), float(np.exp(rng.uniform(np.log(1.5), np.log(45))))
        if all(np.hypot(x - a[0], y - a[1]) > r + a[2] for a in rows):
            rows.append(circle(x, y, r, rng.uniform(0.4, 1), rng.uniform(0, np.pi)))
    back = told(encoded(rows))
    assert len(back.presence) == len(rows)
    for row in rows:
        k = np.argmin(np.hypot(back.x - row[0], back.y - row[1]))
        assert [back.x[k], back.y[k], np.exp(back.log_radius[k])] == pytest.approx(row[:3], abs=1e-3)
        assert np.exp(-np.hypot(back.ellipse_cos[k], back.ellipse_sin[k])) == pytest.approx(row[3], abs=1e-3)


def test_nested_circles_come_back_as_two() -> None:
    back = told(encoded([circle(50, 60, 20), circle(50, 60, 12)]))
    assert sorted(np.exp(back.log_radius)) == pytest.approx([12, 20], rel=1e-3)


def test_what_cannot_be_seen_is_not_asked_for() -> None:
    hidden, faint, plain = ([circle(50, 60, 8, detectability=d)] for d in (2, 4.5, 10))
    assert min(float(t.weight.min()) for t in encoded(hidden)) == 0
    assert min(float(t.weight.min()) for t in encoded(faint)) == pytest.approx(0.5)
    assert min(float(t.weight.min()) for t in encoded(plain)) == 1


def test_a_plain_droplet_beside_a_hidden_one_is_asked_for() -> None:
    targets = encoded([circle(50, 60, 8, detectability=2), circle(50, 68, 8)])
    assert sum(float((t.presence * t.weight).sum()) for t in targets) == 1


def test_of_two_centres_in_a_cell_the_plainer_stays() -> None:
    targets = encoded([circle(50, 60, 8), circle(50.1, 60, 8.1, detectability=4)])
    (values,) = [t.values for t in targets if len(t.values)]
    assert len(values) == 1
    assert told(targets).x == pytest.approx([50], abs=1e-3)


def test_centres_outside_are_not_asked_for() -> None:
    assert sum(float(t.presence.sum()) for t in encoded([circle(-2, 60, 8), circle(60, SIDE, 8)])) == 0
