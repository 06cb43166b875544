"""The scores by which proposals are judged."""

import numpy as np
import pytest

from pyrodrop.detection.learning.scoring import calibration_error, judge, match, total

TRUE = np.array([[10.0, 10, 4], [30, 30, 8], [60, 60, 4]])
SEEN = np.ones(3)


def test_a_match_is_within_half_a_radius() -> None:
    i, j = match(np.array([[11.9, 10, 4], [34.1, 30, 8]]), TRUE)
    assert list(i) == [0]
    assert list(j) == [0]


def test_an_unknown_radius_allows_three_px() -> None:
    i, _ = match(np.array([[12.9, 10, 4]]), np.array([[10, 10, np.nan]]))
    assert len(i) == 1
    i, _ = match(np.array([[13.1, 10, 4]]), np.array([[10, 10, np.nan]]))
    assert len(i) == 0


def test_each_droplet_is_matched_once() -> None:
    judged = judge(np.array([[10.0, 10, 4], [10.5, 10, 4]]), np.array([0.9, 0.9]), TRUE, SEEN)
    assert judged.scores.matched == 1
    assert judged.scores.f1 == pytest.approx(2 / 5)


def test_an_unlikely_proposal_takes_no_droplet_from_a_likely_one() -> None:
    judged = judge(np.array([[10.5, 10, 4], [10.0, 10, 4]]), np.array([0.9, 0.1]), TRUE, SEEN)
    assert list(judged.correct) == [True, False]


def test_what_was_not_asked_for_counts_neither_way() -> None:
    judged = judge(TRUE, np.array([0.9, 0.9, 0.9]), TRUE, np.array([1.0, 1, 0]))
    assert (judged.scores.true, judged.scores.reported, judged.scores.matched) == (2, 2, 2)
    assert len(judged.presence) == 2


def test_nothing_reported_of_nothing_is_right() -> None:
    judged = judge(np.zeros((0, 3)), np.zeros(0), np.zeros((0, 3)), np.zeros(0))
    assert judged.scores.f1 == 1
    assert total([judged.scores, judged.scores]).f1 == 1


def test_radius_error_is_of_the_matched() -> None:
    judged = judge(TRUE * [1, 1, 1.1], np.ones(3), TRUE, SEEN)
    assert judged.scores.radius_error == pytest.approx(np.log(1.1))


def test_calibration_error_tells_honest_from_sure() -> None:
    rng = np.random.default_rng(0)
    presence = rng.random(20_000)
    correct = rng.random(20_000) < presence
    assert calibration_error(presence, correct) < 0.02
    assert calibration_error(presence**0.3, correct) > 0.1
