"""How droplets meet: whether they add up where they do, and which lie within others."""

import numpy as np

from pyrodrop.results.checks.meetings import meetings_of

X, Y, R = np.array([20.0, 31.0, 60.0, 62.0]), np.array([20.0, 20.0, 40.0, 41.0]), np.array([8.0, 7.0, 12.0, 3.0])


def noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((80, 90))


def test_droplets_within_others_are_named() -> None:
    meetings = meetings_of(noise(), X, Y, R)
    assert meetings.nested == 1
    assert len(meetings.misfit) == 1
    assert "1 droplets lie within others" in meetings.warnings[0]
    assert meetings_of(noise(), X[:3], Y[:3], R[:3]).nested == 0


def test_what_is_hidden_where_droplets_meet_is_noticed() -> None:
    z = noise(1)
    row, column = np.mgrid[:80, :90]
    shared = (np.hypot(column - X[0], row - Y[0]) < R[0]) & (np.hypot(column - X[1], row - Y[1]) < R[1])
    assert meetings_of(z, X[:2], Y[:2], R[:2]).warnings == ()
    (warning,) = meetings_of(z - 4 * shared, X[:2], Y[:2], R[:2]).warnings
    assert "1 of 1 pairs" in warning
    # Noise that goes together has larger means.
    assert meetings_of(z - 1.5 * shared, X[:2], Y[:2], R[:2], 30.0).adds_up


def test_noise_is_called_a_misfit_once_in_thousands() -> None:
    chance = [meetings_of(noise(seed), X[:2], Y[:2], R[:2]).misfit[0] for seed in range(300)]
    assert 0.85 < np.std(chance) < 1.15
    assert all(meetings_of(noise(seed), X[:2], Y[:2], R[:2]).adds_up for seed in range(100))


def test_none_and_one_meet_nobody() -> None:
    for n in (0, 1):
        meetings = meetings_of(noise(), X[:n], Y[:n], R[:n])
        assert meetings.adds_up
        assert meetings.nested == 0
