"""How much of what looks like a droplet is one, and where little is."""

import numpy as np
import pytest

from pyrodrop.results.checks.efficiency import efficiency_of


def spread(n: int, width: float, height: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.uniform(0, width - 1, n), rng.uniform(0, height - 1, n)


def test_where_droplets_are_sure_nothing_is_unlike_what_is_known() -> None:
    efficiency = efficiency_of(*spread(300, 400, 200), np.full(300, 0.95), (200, 400))
    assert efficiency.whole == pytest.approx(0.95)
    assert efficiency.unlike == ()
    assert efficiency.warnings == ()


def test_a_part_in_which_the_network_wavers_is_named() -> None:
    x, y = spread(1000, 400, 200)
    presence = np.where((x < 99.5) & (y >= 149.5), 0.2, 0.95)
    efficiency = efficiency_of(x, y, presence, (200, 400))
    (part,) = efficiency.unlike
    assert part[:4] == (0, 150, 100, 200)
    assert part.candidates == ((x < 99.5) & (y >= 149.5)).sum()
    assert part.efficiency == pytest.approx(0.2)
    (warning,) = efficiency.warnings
    assert "x 0 to 100 y 150 to 200 px" in warning
    assert "20%" in warning


def test_many_parts_are_counted() -> None:
    (warning,) = efficiency_of(*spread(1000, 400, 200), np.full(1000, 0.3), (200, 400)).warnings
    assert "and 13 more parts" in warning


def test_a_few_doubtful_ones_are_no_kind_of_their_own() -> None:
    assert not efficiency_of(*spread(60, 400, 200), np.full(60, 0.2), (200, 400)).unlike


def test_of_nothing_there_is_none() -> None:
    nothing = efficiency_of(np.zeros(0), np.zeros(0), np.zeros(0), (200, 400))
    assert nothing.whole is None
    assert nothing.warnings == ()
