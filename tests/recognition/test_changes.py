"""What a new fit changes: draws moved and stretched, and taken back by the opposite change."""

import numpy as np
from scipy.special import logit

from pyrodrop.recognition.changes import Change, changed_presence, moved_draws


def drawn(n: int = 3, channels: int = 2) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {
        "x_px": 20 + generator.standard_normal((500, n)),
        "y_px": 30 + generator.standard_normal((500, n)),
        "radius_px": np.exp(1.5 + 0.1 * generator.standard_normal((500, n))),
        "sigma_px": np.exp(1.2 + 0.1 * generator.standard_normal((500, n))),
        "amplitude": 0.3 + 0.02 * generator.standard_normal((500, channels, n)),
    }


def change() -> Change:
    before = np.tile([20.0, 30.0, 1.5, 0.3, 0.3], (3, 1))
    now = before + np.array([0.5, -0.2, 0.05, 0.01, -0.02])
    sd, factor = np.tile([1.0, 1.0, 0.1, 0.02, 0.02], (3, 1)), np.tile([0.5, 2.0, 1.5, 0.8, 1.0], (3, 1))
    return Change(before, now, sd, factor, np.array([0.5, 0.0, -2.0]))


def test_draws_are_moved_and_stretched() -> None:
    before, after = drawn(), moved_draws(drawn(), change())
    for name, by, factor in (("x_px", 0.5, 0.5), ("y_px", -0.2, 2.0)):
        centre = {"x_px": 20, "y_px": 30}[name]
        assert np.allclose(after[name], centre + by + factor * (before[name] - centre))
    assert np.allclose(np.log(after["radius_px"]), 1.55 + 1.5 * (np.log(before["radius_px"]) - 1.5))
    assert np.allclose(after["sigma_px"] / after["radius_px"], before["sigma_px"] / before["radius_px"])
    assert np.allclose(after["amplitude"][:, 1] - before["amplitude"][:, 1], -0.02)


def test_the_opposite_change_takes_a_change_back() -> None:
    made = change()
    opposite = Change(made.now, made.before, made.sd * made.factor, 1 / made.factor, -made.log_odds)
    again = moved_draws(moved_draws(drawn(), made), opposite)
    for name, values in drawn().items():
        assert np.allclose(again[name], values)
    presence = np.array([0.2, 0.5, 0.99])
    assert np.allclose(changed_presence(changed_presence(presence, made.log_odds), opposite.log_odds), presence)
    assert np.allclose(logit(changed_presence(presence, made.log_odds)) - logit(presence), made.log_odds)


def test_what_the_draws_do_not_tell_does_not_matter() -> None:
    one = change()
    still = one._replace(now=one.before, factor=np.ones_like(one.factor))
    assert not still.matters(1_000).any()
    moved = still._replace(now=one.before + np.array([0.04, 0, 0, 0, 0]))  # of a standard deviation of 1
    assert moved.matters(1_000).all()
    assert not moved.matters(400).any()
    assert still._replace(factor=np.full_like(one.factor, 1.03)).matters(1_000).all()
