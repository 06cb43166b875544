"""The contract between the engines of the joint fit, for every profile: compiled sums, and their twin in torch."""

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pyrodrop.joint.normal_equations import meetings
from pyrodrop.joint.sums.by_torch import ByTorch
from pyrodrop.joint.sums.choice import engine_of
from pyrodrop.joint.sums.compiled import COMPILED
from pyrodrop.joint.sums.engine import Engine, Places
from pyrodrop.models.bspline_background import spline_basis
from pyrodrop.rendering import PROFILES, Profile

Array = NDArray[np.float64]
SIZE, N, CHANNELS = (40, 50), 12, 2
TORCH = ByTorch(torch.device("cpu"))


class Scene(NamedTuple):
    """Droplets that meet, some over the border and one outside, and images."""

    profile: Profile
    places: Places
    shape: Array
    amplitude: Array
    before: Array
    after: Array
    known: Array

    def columns(self, engine: Engine, gaps: bool = False) -> Any:
        known = engine.image(self.known) if gaps else None
        return engine.columns(self.profile, self.places, self.shape, SIZE, known)


@pytest.fixture(params=list(PROFILES.values()), ids=lambda profile: profile.name)
def scene(request: pytest.FixtureRequest) -> Scene:
    profile, g = request.param, np.random.default_rng(3)
    x, y, r = g.uniform(-2, SIZE[1] + 1, N), g.uniform(-2, SIZE[0] + 1, N), g.uniform(1.5, 4, N)
    x[4] = -60.0
    shape = profile.constrained(
        profile.prior_mean + 0.3 * np.minimum(profile.prior_sd, 1.0) * g.normal(0, 1, profile.size)
    )
    images = g.normal(0, 1, (2, CHANNELS, *SIZE))
    return Scene(profile, Places(x, y, r), shape, g.normal(0, 1, (CHANNELS, N)), *images, (g.random(SIZE) > 0.1) * 1.0)


def alike(make: Any) -> bool:
    """Whether both engines make the same, to the single precision in which products are summed along a row."""
    compiled, twin = make(COMPILED), make(TORCH)
    assert np.abs(compiled).max() > 0
    return bool(np.allclose(twin, compiled, rtol=2e-5, atol=2e-6 * np.abs(compiled).max()))


def test_the_cpu_has_the_compiled_one() -> None:
    assert engine_of("cpu") is engine_of() is COMPILED


@pytest.mark.parametrize("gaps", [False, True])
def test_pictures_of_droplets(scene: Scene, gaps: bool) -> None:
    """Those that compiled code has written out, and those that torch takes of the profile's height."""
    assert alike(lambda engine: _kept(scene.columns(engine, gaps)))


def test_pictures_of_droplets_with_shapes_of_their_own(scene: Scene) -> None:
    if not scene.profile.size:
        return
    shapes = scene.shape * np.linspace(1, 1.5, N)[:, None]
    own = scene._replace(shape=shapes)
    assert alike(lambda engine: _kept(own.columns(engine)))
    each = [scene._replace(shape=shape).columns(COMPILED).those(np.array([k])) for k, shape in enumerate(shapes)]
    assert np.array_equal(np.concatenate([_kept(one) for one in each]), _kept(own.columns(COMPILED)))


def _kept(columns: Any) -> Array:
    """The pictures, one droplet after the other."""
    area = columns.box[:, 2] * columns.box[:, 3] * columns.number
    begins = columns.before[: len(area)] * columns.number
    parts = [columns.kept[begin : begin + size] for begin, size in zip(begins, area, strict=True)]
    return np.concatenate([np.asarray(part, np.float64) for part in parts])


def test_images(scene: Scene) -> None:
    def painted(engine: Engine) -> Array:
        image = engine.copy(engine.image(scene.before))
        engine.paint(scene.columns(engine), scene.amplitude, image)
        return engine.array(image)

    assert alike(painted)
    if scene.profile.size:
        assert alike(lambda e: e.array(e.painted_shared(scene.columns(e), scene.amplitude[0], SIZE)))


@pytest.mark.parametrize("gaps", [False, True])
def test_products_of_droplets(scene: Scene, gaps: bool) -> None:
    pairs = meetings(scene.columns(COMPILED).box)
    assert len(pairs) > N
    assert alike(lambda engine: engine.gram(scene.columns(engine, gaps), pairs, 4))
    for first in (4, 4 + scene.profile.size):
        assert alike(lambda e, first=first: e.project(scene.columns(e, gaps), e.image(scene.before), first))


def test_products_with_the_background(scene: Scene) -> None:
    bases = [spline_basis(side, 9.0) for side in SIZE]
    assert alike(lambda engine: engine.on_splines(scene.columns(engine), engine.grid(*bases), 4))
    control = np.random.default_rng(0).normal(size=(CHANNELS, bases[0].shape[1] * bases[1].shape[1]))
    assert alike(lambda engine: engine.array(engine.grid(*bases).image(engine.image(control))))
    assert alike(lambda engine: engine.array(engine.grid(*bases).products(engine.image(scene.before))))


def test_what_a_step_changes(scene: Scene) -> None:
    weight = np.array([0.5, 2.0])

    def images(engine: Engine) -> Any:
        return engine.image(scene.before), engine.copy(engine.image(scene.after))

    assert alike(lambda engine: engine.lost_at(scene.places, *images(engine), weight))
    # Boxes of a group may meet, and those of two do not.
    box = np.array([[0, 0, 9, 8], [5, 4, 10, 7], [20, 0, 5, 5], [0, 0, 0, 0]])
    assert alike(lambda engine: engine.change_in(box, np.array([1, 1, 0, 0]), *images(engine), weight))

    def copied(engine: Engine) -> Array:
        source, target = images(engine)
        engine.copy_boxes(box, source, target)
        return engine.array(target)

    assert np.array_equal(copied(COMPILED), copied(TORCH))


def test_inflation(scene: Scene) -> None:
    lags, correlation = np.array([[0, 1], [1, -2], [2, 0]]), np.array([0.4, 0.2, -0.1])
    weighted = np.square(scene.before[0])
    assert alike(lambda e: e.inflation(scene.columns(e), e.image(weighted), lags, correlation))
    assert alike(lambda engine: engine.correlation(engine.image(scene.before), lags))


def test_of_some_droplets_and_of_others_in_their_places(scene: Scene) -> None:
    some, moved = np.array([7, 2, 9]), scene._replace(places=scene.places._replace(x=scene.places.x[::-1] + 1.3))

    def few(engine: Engine) -> Array:
        columns = scene.columns(engine).those(some)
        return engine.gram(columns, meetings(columns.box), 4)

    def replaced(engine: Engine) -> Array:
        columns = scene.columns(engine)
        first = columns.replaced(some, moved.columns(engine).those(some))
        again = columns.replaced(some[:2], moved.columns(engine).those(some[1:]))
        whole = [each.replaced(np.arange(N), scene.columns(engine)) for each in (first, again)]
        made = [engine.project(each, engine.image(scene.before), 4) for each in (columns, first, again, *whole)]
        assert np.allclose(made[0], made[3])
        assert np.allclose(made[0], made[4])
        assert np.allclose(made[1][some], engine.project(moved.columns(engine), engine.image(scene.before), 4)[some])
        return np.concatenate(made)

    assert alike(few)
    assert alike(replaced)
