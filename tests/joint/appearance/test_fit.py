"""Droplets as they look, fitted: known ones are found again, and what is shown draws the same image."""

import numpy as np
import pytest
import torch
from joint.appearance.looks import looks

from pyrodrop.joint.appearance.fit import initial, settle_places, unit_prior, with_pictures
from pyrodrop.joint.appearance.newton import descend
from pyrodrop.joint.appearance.outline import on_outline
from pyrodrop.joint.appearance.pictures import canonical, flat_picture, gram
from pyrodrop.joint.appearance.posterior import deviations
from pyrodrop.joint.appearance.state import picture_units, predicted
from pyrodrop.joint.appearance.tangent import EVERYTHING

both = pytest.mark.parametrize("in_colour", [False, True])


@both
def test_a_descent_finds_the_truth_again(in_colour: bool) -> None:
    truth, data = looks(in_colour)
    rng = np.random.default_rng(1)
    start = truth._replace(
        x=truth.x + torch.tensor(rng.normal(0, 0.3, len(truth.x))),
        y=truth.y + torch.tensor(rng.normal(0, 0.3, len(truth.x))),
        weights=truth.weights * 0.9,
    )
    mode = descend(start, data, unit_prior(start.pictures), 30)
    assert mode.converged
    assert np.all(np.diff(mode.losses) < 0)
    sd = deviations(mode.state, data, unit_prior(start.pictures), EVERYTHING, 0).place
    for found, true, column in (
        (mode.state.x, truth.x, 0),
        (mode.state.y, truth.y, 1),
        (mode.state.log_r, truth.log_r, 2),
    ):
        assert float(((found - true) / sd[:, column]).abs().max()) < 5


@both
def test_what_is_shown_draws_the_same_image(in_colour: bool) -> None:
    state, data = looks(in_colour)
    shown = canonical(state, data)
    torch.testing.assert_close(predicted(shown, data), predicted(state, data))
    root = torch.linalg.cholesky(gram(state.x))
    flat = (picture_units(shown, data) @ root).reshape(len(shown.pictures), -1)
    products = flat @ flat.mT / shown.pictures.shape[1]
    torch.testing.assert_close(products, torch.eye(len(products), dtype=torch.float64), rtol=0, atol=1e-9)
    assert bool((shown.weights.sum((0, 2)) >= 0).all())


def test_droplets_on_a_part_of_themselves_move_onto_the_whole() -> None:
    truth, data = looks(False, channels=1)
    r = truth.log_r.exp()
    half = truth._replace(y=torch.where(torch.arange(len(r)) < 2, truth.y - 0.3 * r, truth.y))
    settled = settle_places(half, data, unit_prior(truth.pictures))
    assert float((settled.y - truth.y).abs()[:2].max()) < 0.15 * float(r.max())


def test_pictures_of_true_circles_explain_the_image() -> None:
    truth, data = looks(False, channels=1)
    state = initial(data, truth.x, truth.y, truth.log_r.exp())
    state = descend(state, data, unit_prior(state.pictures), 2, (False, True, False, True)).state
    state = with_pictures(state, data, 2)
    left = (data.channels - predicted(state, data)).square().mean()
    # Random pictures have details finer than shared ones of circles that overlap are told at first.
    assert float(left) < 0.2 * float(data.channels.var())


def test_circles_that_are_too_large_come_back_to_the_outline() -> None:
    rng = np.random.default_rng(0)
    truth, data = looks(False, channels=1)
    flat = flat_picture(truth.x).expand(1, 1, -1)
    discs = truth._replace(pictures=flat, weights=torch.tensor(rng.uniform(0.2, 0.4, (len(truth.x), 1, 1))))
    r = truth.log_r.exp()
    wide = discs._replace(x=discs.x + 0.2 * r, log_r=discs.log_r + 0.25)
    seen = data._replace(channels=predicted(discs, data))
    wide = with_pictures(wide, seen, 1)
    back = on_outline(wide, seen)
    assert float((back.x - truth.x).abs().max()) < float((wide.x - truth.x).abs().max()) / 2
    assert float((back.log_r - truth.log_r).abs().max()) < 0.125


def test_deviations_are_those_of_the_whole_precision() -> None:
    """Against the inverse of the curvature, written out."""
    from joint.appearance.written_out import dense_deviations

    state, data = looks(False, channels=1)
    mode = descend(state, data, unit_prior(state.pictures), 20)
    found = deviations(mode.state, data, unit_prior(state.pictures), EVERYTHING, 0).place
    expected = dense_deviations(mode.state, data)
    assert float((found / expected).log().abs().max()) < 0.25
