"""Which of several proposals speaks for the one circle that stays."""

import numpy as np
import pytest

from pyrodrop.recognition.candidates import Candidates
from pyrodrop.recognition.succession import FREEDOM, first_words, log_density_of_errors, succeeded


def candidates(*rows: tuple[float, float, float, float]) -> Candidates:
    """Of x, y, radius and presence each, known to a tenth of the radius."""
    x, y, radius, proposed = np.array(rows).T
    sd = np.stack([0.1 * radius, 0.1 * radius, np.full_like(radius, 0.1)], 1)
    sd[proposed == 0] = np.nan
    return Candidates(x, y, radius, proposed, sd)


def test_a_droplet_keeps_the_word_that_describes_it_best() -> None:
    kept, gone = candidates((50, 50, 12, 0.2), (90, 50, 10, 0.9)), candidates((50, 51, 10, 0.98))
    heirs = succeeded(kept, gone, np.array([50.2, 90]), np.array([50.8, 50]), np.array([10.1, 10]))
    assert heirs.proposed.tolist() == [0.98, 0.9]
    assert (heirs.y[0], heirs.radius[0], heirs.sd[0, 0]) == (51, 10, 1.0)
    assert all((mine == of_kept).all() for mine, of_kept in zip(heirs.those([1]), kept.those([1]), strict=True))


def test_a_word_that_describes_another_circle_is_not_taken_over() -> None:
    kept, gone = candidates((50, 50, 10, 0.3)), candidates((52, 50, 30, 0.99), (50, 75, 10, 0.99))
    heirs = succeeded(kept, gone, np.array([50.0]), np.array([50.0]), np.array([10.0]))
    assert heirs.proposed.tolist() == [0.3]


def test_one_word_does_not_make_two_droplets() -> None:
    kept, gone = candidates((50, 50, 12, 0.2), (50, 50, 8, 0.2)), candidates((50, 50, 10, 0.98))
    heirs = succeeded(kept, gone, np.full(2, 50.0), np.full(2, 50.0), np.array([10.0, 9.5]))
    assert heirs.proposed.tolist() == [0.98, 0.2]


def test_what_the_network_has_not_proposed_inherits_nothing() -> None:
    kept, gone = candidates((50, 50, 10, 0.0)), candidates((50, 50, 10, 0.98))
    assert succeeded(kept, gone, *kept[:3]).proposed.tolist() == [0.0]


def test_an_afterthought_is_known_by_a_likelier_one_about_its_place_and_size() -> None:
    some = candidates((50, 50, 10, 0.9), (51, 50, 7, 0.3), (50, 50, 25, 0.2), (72, 50, 10, 0.1), (54, 50, 3, 0.2))
    assert first_words(some).tolist() == [True, False, True, True, True]


def test_of_two_that_are_as_likely_one_comes_first() -> None:
    assert first_words(candidates((50, 50, 10, 0.5), (51, 50, 9, 0.5))).tolist() == [True, False]


def test_errors_of_the_network_have_students_density_with_its_standard_deviation() -> None:
    from scipy.stats import t as student

    errors, sd = np.random.default_rng(0).normal(size=(2, 20))
    scale = np.abs(sd) * (3 / 5) ** 0.5
    assert student.std(FREEDOM, scale=scale) == pytest.approx(np.abs(sd))
    assert log_density_of_errors(errors, np.abs(sd)) == pytest.approx(student.logpdf(errors, FREEDOM, scale=scale))
