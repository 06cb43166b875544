"""A joint fit that goes on from what was kept is the fit that was never interrupted, to the bit."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from joint.scenes import crowd, scene
from numpy.typing import NDArray

from pyrodrop.joint.draws import draws
from pyrodrop.joint.joint_fit import JointFit, fit_jointly, refit_jointly
from pyrodrop.joint.pixels import Pixels
from pyrodrop.joint.resuming import descents
from pyrodrop.joint.resuming.kept import digest_of

PROFILES = ("gaussian", "disc", "radial")
SIZE = (70, 90)


class InMemory:
    """What is kept in a dict, and gone with it."""

    def __init__(self) -> None:
        self.known: dict[str, Mapping[str, NDArray[Any]]] = {}

    def read(self, digest: str) -> Mapping[str, NDArray[Any]] | None:
        return self.known.get(digest)

    def keep(self, digest: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        assert digest not in self.known  # what is known is not worked out again
        self.known[digest] = arrays


def two_fits(image: NDArray[np.float64], kept: InMemory | None, profile: str) -> JointFit:
    """A fit, and one of two thirds of its droplets and a new one after it; stopped while some go on by themselves."""
    pixels = Pixels.of(image, kept=kept)
    x, y, r, *_ = crowd(1, SIZE, 1.1, 12, (4, 6)).T
    fit = fit_jointly(pixels, x + 0.4, y - 0.3, 1.1 * r, profile=profile, max_steps=3)
    some = np.arange(len(x)) % 3 > 0
    more = np.array([30.0]), np.array([40.0]), np.array([5.0])
    origin = [np.append(start[some], new) for start, new in zip((x, y, r), more, strict=True)]
    return refit_jointly(pixels, fit, some, more, (origin[0], origin[1], origin[2]), max_steps=2)


def numbers_of(fit: JointFit) -> dict[str, NDArray[Any]]:
    """Every array that a fit says, and draws of it."""
    named: dict[str, NDArray[Any]] = {}
    for part in (fit.state, fit.posterior, fit.evidence, fit.residuals, fit.convergence):
        values = part._asdict() if hasattr(part, "_asdict") else vars(part)
        named |= {f"{type(part).__name__}.{name}": v for name, v in values.items() if name not in ("factor", "edge")}
    drawn = draws(fit, 20, torch.Generator().manual_seed(0))
    return named | drawn | {"noise": fit.noise, "background": fit.background, "half_radius": fit.half_radius}


def image_of(channels: int, gap: bool = False) -> NDArray[np.float64]:
    rows = crowd(1, SIZE, 1.1, 12, (4, 6))
    heights = np.repeat(rows[:, 3:], channels, 1) * np.linspace(1, 0.3, channels)
    image = scene("disc", np.hstack([rows[:, :3], heights]), SIZE, channels=channels).image
    if gap:
        image[:, 20:30, 35:60] = np.nan
    return image


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(("channels", "gap"), [(1, False), (3, False), (2, True)])
def test_what_was_kept_leads_to_the_same_numbers(
    profile: str, channels: int, gap: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, kept = image_of(channels, gap), InMemory()
    alone = numbers_of(two_fits(image, None, profile))
    assert len(alone["noise"]) == channels
    np.testing.assert_equal(numbers_of(two_fits(image, kept, profile)), alone)
    assert len(kept.known) == 2
    first, _ = kept.known
    part = InMemory()
    part.known = {first: kept.known[first]}
    np.testing.assert_equal(numbers_of(two_fits(image, part, profile)), alone)
    monkeypatch.setattr(descents, "descend", None)  # not called any more
    np.testing.assert_equal(numbers_of(two_fits(image, kept, profile)), alone)


def test_what_another_fit_has_kept_is_none_of_this() -> None:
    image, kept = image_of(1), InMemory()
    two_fits(image, kept, "disc")
    image[0, 3, 5] = np.nextafter(image[0, 3, 5], 1)
    two_fits(image, kept, "disc")
    two_fits(image, kept, "gaussian")
    assert len(kept.known) == 6


def test_a_digest_tells_everything_apart() -> None:
    one = np.arange(4.0)
    others = [one.reshape(2, 2), one.astype(np.float32), one[:3], one + 1e-16 + np.spacing(one), "0", 0, 0.0, None]
    digests = {digest_of(other) for other in [one, *others]} | {digest_of("a", "b"), digest_of("ab"), digest_of()}
    assert len(digests) == 12
    assert digest_of(one[::2]) == digest_of(np.array([0.0, 2.0]))
