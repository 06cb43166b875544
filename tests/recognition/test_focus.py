"""Droplets out of focus that were taken for several."""

import numpy as np
from joint.blurred_discs import BLURRED, discs, fitted, noisy, places

from pyrodrop.joint.pixels import Pixels
from pyrodrop.recognition.focus import doubles, likeliest_in_focus


def test_a_droplet_out_of_focus_that_was_taken_for_two_is_one() -> None:
    droplets = places(3)
    image = noisy(discs(droplets[:, ~BLURRED], 0.7) + discs(droplets[:, BLURRED], 2.2), 3)
    seconds = droplets[:, BLURRED] * np.array([1, 1, 0.6, 1])[:, None]
    twice = np.concatenate([droplets * np.where(BLURRED, 1.2, 1)[None] ** np.array([0, 0, 1, 0])[:, None], seconds], 1)
    fit = fitted(image, twice)
    taken, rest = doubles(fit)
    assert len(taken) == BLURRED.sum()
    # One of each two goes, whichever is the narrower.
    near = np.hypot(*(twice[:2, taken][:, :, None] - droplets[:2, BLURRED][:, None])) < 1
    assert (near.sum(0) == 1).all()
    assert len(rest.x) == len(fit.x)


def test_two_droplets_on_one_another_stay_two() -> None:
    """A small bright one on a broad one: no blur of one disc looks like that."""
    droplets = places(4)
    upon = droplets[:, :3] * np.array([1, 1, 0.4, 1])[:, None] + np.array([1.0, 0, 0, 0])[:, None]
    both = np.concatenate([droplets, upon], 1)
    taken, _ = doubles(fitted(noisy(discs(both, 0.7), 4), both))
    assert not len(taken)


def test_a_profile_that_explains_all_droplets_in_focus_is_the_likeliest() -> None:
    """A curve over all droplets does not make up for the blur of some once each has an edge of its own."""
    droplets = places(3)
    image = noisy(discs(droplets[:, ~BLURRED], 0.7) + discs(droplets[:, BLURRED], 2.2), 3)
    fits = [fitted(image, droplets, profile) for profile in ("radial", "disc")]
    assert likeliest_in_focus(fits, Pixels.of(image)) == 1
