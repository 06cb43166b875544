"""What is said of a proposal, by itself and in its image."""

import numpy as np
import pytest
from scipy.special import expit, logit

from pyrodrop.detection.network.calibration import ByDoubt, Calibration, doubt_of_others


def test_by_itself_it_runs_straight_between_the_points_learnt() -> None:
    calibration = Calibration((0.0, 0.5, 1.0), (0.0, 0.2, 0.8))
    assert calibration(np.array([0.25, 0.5, 0.75])) == pytest.approx([0.1, 0.2, 0.5])


def test_doubt_of_the_others_is_the_mean_over_the_droplets_to_be_expected_of_them() -> None:
    presence = np.array([0.9, 0.5, 0.2])
    of_first = (0.3 + 0.25 + 0.16) / (1 + 0.7)
    assert doubt_of_others(presence, 0.3)[0] == pytest.approx(of_first)
    assert doubt_of_others(np.array([0.7]), 0.3) == pytest.approx(0.3)


def test_the_same_proposal_is_likelier_where_the_network_is_sure_of_the_others() -> None:
    calibration = Calibration(by_doubt=ByDoubt(0.3, -1.4, 1.2, -0.7, 0.23))
    clear, textured = np.full(50, 0.98), np.full(50, 0.4)
    first = [calibration(np.concatenate([[0.7], others]))[0] for others in (clear, textured)]
    assert first[0] > 0.7 > first[1]


def test_it_says_the_log_odds_of_the_formula_and_nothing_where_there_is_nothing() -> None:
    said = Calibration(by_doubt=ByDoubt(0.3, -1.4, 1.2, -0.7, 0.23))(np.array([0.6, 0.0]))
    assert said[0] == pytest.approx(expit(0.3 - 1.4 * 0.23 + (1.2 - 0.7 * 0.23) * logit(0.6)))
    assert said[1] == 0.0
