"""The compiled loops of the windows kernel say what the same loops say in plain Python, for every compiled profile."""

from typing import Any

import numpy as np
import pytest

from pyrodrop.rendering import PROFILES, Profile
from pyrodrop.rendering.kernels import windows_loops as loops

COMPILED = [profile for profile in PROFILES.values() if profile.compiled is not None]
HIGH, WIDE = 17, 21


def scene(profile: Profile) -> tuple[loops.Droplets, Any]:
    """Three droplets, one of them over the border and one outside, and the numbers that they share."""
    x, y, r = np.array([8.2, 20.4, -40.0]), np.array([7.9, 3.3, 5.0]), np.array([4.0, 3.1, 2.0])
    free = profile.prior_mean + 0.3 * profile.prior_sd
    shape = np.where(profile.log, np.exp(np.minimum(free, 1.0)), free)
    assert profile.compiled is not None
    droplets = loops.Droplets(x, y, r, profile.support(r, shape, 1e-6), np.array([0.7, -0.4, 1.0]))
    return droplets, profile.compiled.pack(shape)


@pytest.mark.parametrize("profile", COMPILED, ids=lambda profile: profile.name)
def test_compiled_loops_are_those_in_python(profile: Profile) -> None:
    droplets, shape = scene(profile)
    assert profile.compiled is not None
    compiled = loops.loops_of(profile.compiled)
    by_image = np.random.default_rng(0).standard_normal((HIGH, WIDE))
    windows = loops.windows_of(droplets.x, droplets.y, droplets.support, HIGH, WIDE)
    results = []
    for draw, vjp, fill in ((loops.draw, loops.vjp, loops.fill), compiled):
        image, kept = np.zeros((HIGH, WIDE)), np.zeros(windows.before[-1] * (4 + profile.size))
        sums = loops.Sums(*np.zeros((4, 3)), np.zeros(profile.size))
        draw(droplets, shape, image)
        vjp(droplets, shape, by_image, sums)
        fill(droplets, shape, windows, 4 + profile.size, kept)
        results.append((image, *sums, kept))
    assert np.abs(results[0][0]).max() > 0.2
    for in_python, of_numba in zip(*results, strict=True):
        np.testing.assert_allclose(of_numba, in_python, rtol=1e-9, atol=1e-12)


def test_a_shape_of_no_registered_profile_is_refused() -> None:
    with pytest.raises(TypeError, match="no registered profile has the compiled shape float"):
        loops.height_at(1.0, 1.0, 0.5)
