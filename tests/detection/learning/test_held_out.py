"""The calibration: what is said is right as often as it says."""

import numpy as np
import pytest
from scipy.special import expit

from pyrodrop.detection.learning.held_out import HeldOut, doubt_calibration, learn_calibration
from pyrodrop.detection.learning.scoring import Judged, Scores
from pyrodrop.detection.network.calibration import ByDoubt, Calibration


def too_sure(seed: int, n: int = 8000) -> HeldOut:
    """Proposals that are right with probability p^2 where p is said."""
    rng = np.random.default_rng(seed)
    presence = rng.random(n)
    return HeldOut([Judged(Scores(), presence, rng.random(n) < presence**2)], ["any"])


def test_learnt_on_one_set_it_is_right_on_another() -> None:
    other = too_sure(1)
    assert other.calibration_error() > 0.1
    said = learn_calibration(too_sure(0))(other.presence)
    assert HeldOut([Judged(Scores(), said, other.correct)], ["any"]).calibration_error() < 0.02


def test_it_rises() -> None:
    said = learn_calibration(too_sure(2))(np.linspace(0, 1, 500))
    assert (np.diff(said) >= 0).all()
    assert said[0] == 0
    assert said[-1] <= 1


def test_of_few_proposals_nothing_is_learnt() -> None:
    assert learn_calibration(too_sure(3, n=20)) == Calibration()


def test_doubt_that_an_image_shares_is_learnt_and_an_even_one_is_not() -> None:
    """Images in which all proposals are right more or less often than is said, as often as not."""
    rng = np.random.default_rng(4)

    def images(spread: float) -> tuple[list[np.ndarray], list[np.ndarray]]:
        odds = [rng.normal(0.5, 1.5, 40) for _ in range(400)]
        shift = [spread * rng.standard_normal() for _ in odds]
        right = [rng.random(40) < expit(one + by) for one, by in zip(odds, shift, strict=True)]
        # The network sees a little of what makes an image hard: it is the less decided there.
        said = [expit(one * np.exp(0.5 * by) + 0.5 * by) for one, by in zip(odds, shift, strict=True)]
        return said, right

    even, uneven = doubt_calibration(*images(0.0)), doubt_calibration(*images(1.5))
    assert abs(even.constant_by_doubt) < 0.6
    assert uneven.constant_by_doubt < -1.5
    assert even.usual_doubt == pytest.approx(0.29, abs=0.02)


def test_learnt_with_the_company_it_is_right_on_others() -> None:
    other = too_sure(1)
    learnt = learn_calibration(too_sure(0))
    assert learnt.by_doubt != ByDoubt()
    assert HeldOut([Judged(Scores(), learnt(other.presence), other.correct)], ["any"]).calibration_error() < 0.02
