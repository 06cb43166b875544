"""Kinds of paths are as doubtful as few paths leave them."""

import numpy as np
import pytest

from pyrodrop.workflows.tracking.paths.smoothing import drawn_kinds


def test_kinds_of_paths_are_drawn_with_the_doubt_of_their_shares() -> None:
    """Radii that say nothing leave Polya's urn: after one path of a kind the next is of it with (1 + 1/K) / 2."""
    which = drawn_kinds(np.zeros((2, 2)), 4000, np.random.default_rng(0))
    assert which[0].mean() == pytest.approx(0.5, abs=0.05)
    assert (which[0] == which[1]).mean() == pytest.approx(0.75, abs=0.04)


def test_paths_that_are_sure_of_their_kind_keep_it() -> None:
    log_likelihood = np.array([[0.0, -800.0, -900.0], [-900.0, 0.0, -800.0]])
    which = drawn_kinds(log_likelihood, 50, np.random.default_rng(1))
    assert (which == np.array([[0], [1]])).all()
