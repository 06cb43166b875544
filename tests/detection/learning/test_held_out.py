"""The calibration: what is said is right as often as it says."""

import numpy as np

from pyrodrop.detection.learning.held_out import HeldOut, learn_calibration
from pyrodrop.detection.learning.scoring import Judged, Scores
from pyrodrop.detection.network.weights import Calibration


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
