"""The contract between the compiled sums of the joint fit and their twin in torch, for every profile."""

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.joint.normal_equations import _four
from pyrodrop.joint.sums import entries, windows
from pyrodrop.models.bspline_background import spline_basis
from pyrodrop.rendering import PROFILES, Profile
from pyrodrop.rendering.kernels.columns import Columns, columns_of_droplets
from pyrodrop.rendering.kernels.columns_torch import TorchColumns, columns_by_torch

Array = NDArray[np.float64]
SIZE, N, CHANNELS = (40, 50), 12, 2


class Scene(NamedTuple):
    """Droplets that meet, some over the border and one outside, and images."""

    x: Array
    y: Array
    r: Array
    shape: Array
    columns: Columns
    amplitude: Array
    before: Array
    after: Array


@pytest.fixture(params=list(PROFILES.values()), ids=lambda profile: profile.name)
def profile(request: pytest.FixtureRequest) -> Profile:
    drawn: Profile = request.param
    return drawn


@pytest.fixture
def scene(profile: Profile) -> Scene:
    g = np.random.default_rng(3)
    x, y, r = g.uniform(-2, SIZE[1] + 1, N), g.uniform(-2, SIZE[0] + 1, N), g.uniform(1.5, 4, N)
    x[4] = -60.0
    shape = profile.constrained(
        profile.prior_mean + 0.3 * np.minimum(profile.prior_sd, 1.0) * g.normal(0, 1, profile.size)
    )
    columns = columns_of_droplets(profile, x, y, r, shape, SIZE, 1e-3)
    return Scene(x, y, r, shape, columns, g.normal(0, 1, (CHANNELS, N)), *g.normal(0, 1, (2, CHANNELS, *SIZE)))


def tensors(of: Any) -> Any:
    """The same as tensors that share no memory with it."""
    if isinstance(of, Columns):
        return TorchColumns(*(tensors(part) for part in of))
    if isinstance(of, np.ndarray):
        return torch.from_numpy(of.copy())
    return entries.Splines(*map(tensors, of)) if isinstance(of, tuple) else of


def both(name: str, out: Array, *arguments: Any) -> tuple[Array, Array]:
    """What the compiled sum and its twin write into ``out``, which is their last argument, from the same arguments."""
    compiled, twin = out.copy(), tensors(out)
    getattr(windows, name)(*arguments, compiled)
    getattr(entries, name)(*map(tensors, arguments), twin)
    assert np.abs(compiled).max() > 0
    return compiled, twin.numpy()


def alike(pair: tuple[Array, Array]) -> bool:
    """To the single precision in which products are summed along a row of a window."""
    compiled, twin = pair
    return bool(np.allclose(twin, compiled, rtol=2e-5, atol=2e-6 * np.abs(compiled).max()))


def test_images(scene: Scene, profile: Profile) -> None:
    assert alike(both("paint", scene.before, scene.columns, scene.amplitude))
    if profile.size:
        assert alike(both("paint_shared", np.zeros((profile.size, *SIZE)), scene.columns, scene.amplitude[0]))


def test_products_with_the_residual(scene: Scene) -> None:
    for pictures in (4, scene.columns.number):
        assert alike(both("project", np.ones((N, CHANNELS, pictures)), scene.columns, scene.before))


def test_products_of_droplets_with_each_other(scene: Scene) -> None:
    pairs = windows.meetings(scene.columns.box)
    twin = entries.meetings(torch.from_numpy(scene.columns.box)).numpy()
    assert {tuple(pair) for pair in pairs} == {tuple(pair) for pair in twin}
    assert len(pairs) > N
    assert alike(both("gram", np.ones((len(pairs), 4, 4)), scene.columns, pairs))


def test_products_with_the_background(scene: Scene) -> None:
    down, along = (_four(spline_basis(side, 9.0)) for side in SIZE)
    out = np.zeros((N, 4, down.points * along.points))
    assert alike(both("with_background", out, scene.columns, down, along))


def test_what_a_step_changes(scene: Scene) -> None:
    weight = np.array([0.5, 2.0])
    arguments = (scene.x, scene.y, scene.r, scene.before, scene.after, weight)
    assert alike(both("lost_at", np.ones(N), *arguments))
    # Boxes of a group may meet, and those of two do not.
    box = np.array([[0, 0, 9, 8], [5, 4, 10, 7], [20, 0, 5, 5], [0, 0, 0, 0]])
    group, seen = np.array([1, 1, 0, 0]), np.zeros(SIZE, np.int64)
    assert alike(both("change_in", np.zeros(2), box, group, scene.before, scene.after, weight, seen, 1))
    copied, target = scene.after.copy(), tensors(scene.after)
    windows.copy_boxes(box, scene.before, copied)
    entries.copy_boxes(tensors(box), tensors(scene.before), target)
    assert np.array_equal(copied, target.numpy())


def test_inflation(scene: Scene) -> None:
    lags = np.array([[0, 1], [1, -2], [2, 0]])
    correlation = np.array([0.4, 0.2, -0.1])
    weighted = np.square(scene.before[0])
    assert alike(both("inflation", np.zeros((N, 4, 3)), scene.columns, weighted, lags, correlation))


def test_of_some_droplets(scene: Scene) -> None:
    some = np.array([7, 2, 9])
    few = scene.columns.those(some)
    assert alike(both("project", np.ones((3, CHANNELS, 4)), few, scene.before))
    pairs = windows.meetings(few.box)
    assert alike(both("gram", np.ones((len(pairs), 4, 4)), few, pairs))


def test_derivatives_are_those_of_the_height(scene: Scene, profile: Profile) -> None:
    """Those that compiled code has written out, and those that torch takes of the profile's height."""
    support = profile.support(scene.r, scene.shape, 1e-3)
    made: Tensor = columns_by_torch(
        profile,
        torch.from_numpy(np.stack([scene.x, scene.y, scene.r, support])),
        tensors(scene.shape),
        tensors(scene.columns.box),
        tensors(scene.columns.before),
    ).kept
    assert alike((scene.columns.kept.astype(np.float64), made.double().numpy()))
