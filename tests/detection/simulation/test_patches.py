"""Simulated patches: what comes out, whether it comes out again, and what must be in it."""

import numpy as np
import pytest

from pyrodrop.detection.simulation import patches, simulate_patches, staging
from pyrodrop.detection.simulation.clutter.kinds import Clutter


def test_shapes_types_and_ranges() -> None:
    drawn = simulate_patches(60, 64, seed=3)
    assert drawn.images.shape == (60, 64, 64)
    assert drawn.images.dtype == np.float32
    assert np.isfinite(drawn.images).all()
    assert len(drawn.circles) == len(drawn.kinds) == 60
    table = np.concatenate(drawn.circles)
    assert table.dtype == np.float32
    assert np.isfinite(table).all()
    x, y, r, ratio, angle, seen, depth, sign = table.T
    assert ((x > -0.5) & (x < 63.5) & (y > -0.5) & (y < 63.5)).all()
    assert ((r > 0.5) & (r < 32)).all()
    assert ((ratio >= 0.5) & (ratio <= 1)).all()
    assert ((angle >= 0) & (angle <= np.pi + 1e-6)).all()
    assert (seen >= 0).all()
    assert set(depth) <= {0, 1, 2}
    assert set(sign) <= {-1, 0, 1}


def test_a_patch_depends_on_its_number_and_the_seed_alone() -> None:
    many, few, other = (
        simulate_patches(12, 48, seed=5),
        simulate_patches(3, 48, seed=5),
        simulate_patches(3, 48, seed=6),
    )
    np.testing.assert_array_equal(many.images[:3], few.images)
    for a, b in zip(many.circles[:3], few.circles, strict=True):
        np.testing.assert_array_equal(a, b)
    assert many.kinds[:3] == few.kinds
    assert not np.array_equal(few.images, other.images)


def test_a_seed_sequence_is_left_as_it_is() -> None:
    seed = np.random.SeedSequence(9)
    first, second = simulate_patches(2, 48, seed), simulate_patches(2, 48, seed)
    np.testing.assert_array_equal(first.images, second.images)


def test_empty_patches_have_no_circles_and_are_at_least_a_seventh() -> None:
    drawn = simulate_patches(200, 48, seed=1)
    empty = [kind.startswith("empty") for kind in drawn.kinds]
    assert all(len(c) == 0 for c, e in zip(drawn.circles, empty, strict=True) if e)
    assert np.mean(empty) > 1 / 7
    assert np.mean(["+" in kind for kind in drawn.kinds]) > 0.25


def test_too_small_a_patch_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 32 px"):
        simulate_patches(1, 8)


def test_what_lettering_covers_is_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a layer hides everything, no droplet is asked for."""

    def curtain(rng: np.random.Generator, size: int, blur: float) -> Clutter:
        return Clutter(np.zeros((size, size), np.float32), np.ones((size, size), np.float32))

    monkeypatch.setattr(patches, "CLUTTER", {"lettering": (curtain, 1.0)})
    monkeypatch.setattr(staging, "CLUTTER", {"lettering": (curtain, 1.0)})
    monkeypatch.setattr(staging, "CLUTTERED", 1.0)
    monkeypatch.setattr(patches, "laid", lambda image, layer, height: np.zeros_like(image))
    hidden = [c[:, 5] for c, k in zip(*simulate_patches(40, 48, seed=1)[1:], strict=True) if "lettering" in k]
    assert max(len(h) for h in hidden) > 0
    over = [h for h in hidden if len(h) and (h == 0).all()]
    assert len(over) > 0.5 * sum(len(h) > 0 for h in hidden)
