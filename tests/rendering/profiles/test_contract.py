"""What every profile must keep: those of the registry, and one that is added in one file."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rendering.profiles.page_profile import cell_with, imported
from scipy.special import ndtr
from torch import Tensor

from pyrodrop.rendering import PROFILES, Profile, render
from pyrodrop.rendering.kernels.columns import columns_of_droplets
from pyrodrop.rendering.profiles import unregister
from pyrodrop.rendering.profiles.radial import curve_basis

Array = NDArray[np.float64]
quiet = settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-9}


def blurred(distance: float, r: float) -> float:
    """Height of a disc at a distance, both in widths of its edge."""
    median = math.sqrt(distance**2 + 1 + 0.3253 / (1 + 0.5588 * distance**2))
    return float(ndtr((r - median) / (1 - 0.2635 / (1 + 0.758 * distance**2))))


def rimmed(r: float, shape: Array) -> tuple[float, float]:
    """Heights of a core in a rim at the centre and at r, as the module of the profile has them."""
    core, spread = (1 - shape[3]) * r, math.sqrt((shape[0] ** 2 + shape[1] ** 2) / 2)
    left = math.erf(shape[3] * r / (math.sqrt(8) * spread))
    at = [(blurred(d / shape[0], r / shape[0]), blurred(d / shape[1], core / shape[1])) for d in (0.0, r)]
    first, second = ((whole - inner + shape[2] * inner) / left for whole, inner in at)
    return first, second


# Of each profile: its height at the centre and at the distance r, for shape (S,).
CLOSED_FORMS: dict[str, Callable[[float, Array], tuple[float, float]]] = {
    "gaussian": lambda r, shape: (1.0, math.exp(-0.5)),
    "disc": lambda r, shape: (blurred(0.0, r / shape[0]), blurred(r / shape[0], r / shape[0])),
    "radial": lambda r, shape: (
        blurred(0.0, r / shape[0]) * (1 + float(curve_basis()[0, 0] @ shape[1:])),
        blurred(r / shape[0], r / shape[0]) * (1 + float(curve_basis()[-1, 0] @ shape[1:])),
    ),
    "rimmed": rimmed,
    "ring": lambda r, shape: (math.exp(-((r / (2 * shape[0])) ** 2) / 2), 1.0),
}


@pytest.fixture(scope="module", params=[*PROFILES, "ring", "ring, compiled"])
def profile(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Profile]:
    """Each profile of the registry; and that of the page on new profiles, without and with compiled code."""
    if request.param in PROFILES:
        yield PROFILES[request.param]
        return
    source = cell_with('name="ring"')
    if request.param == "ring, compiled":
        source += cell_with("FAST_RING = ")
    imported(tmp_path_factory.mktemp("added") / f"page_{request.param[5:] or 'ring'}.py", source)
    try:
        yield PROFILES["ring"]
    finally:
        unregister("ring")


def shapes_of(profile: Profile, seed: int, batch: tuple[int, ...] = ()) -> Array:
    """Shared numbers as their priors have them, but no edge softer than a few px."""
    normal = np.random.default_rng([seed, 2]).normal(0, 0.5, (*batch, profile.size))
    free = profile.prior_mean + profile.prior_sd * normal
    return np.where(profile.log, np.exp(np.minimum(free, 1.2)), free)


def droplets_of(
    profile: Profile, seed: int, batch: tuple[int, ...], number: int, size: tuple[int, int]
) -> list[Tensor]:
    """x, y, r, amplitude, bg and shape, droplets in and around an image of that size, float64."""
    g = np.random.default_rng([seed, 1])
    many = (*batch, number)
    x, y = (g.uniform(-0.3 * side, 1.3 * side, many) for side in (size[1], size[0]))
    r = np.exp(g.uniform(math.log(0.6), math.log(30), many))
    arrays = (x, y, r, g.uniform(-1, 1, many), g.uniform(0, 1, batch), shapes_of(profile, seed, batch))
    return [torch.tensor(array, dtype=torch.float64) for array in arrays]


@pytest.mark.parametrize("r", [3.0, 9.0])
def test_heights_at_centre_and_radius_are_those_in_closed_form(profile: Profile, r: float) -> None:
    for seed in range(3):
        shape = shapes_of(profile, seed)
        heights = profile.height_at(np.array([[0.0, r]]), np.array([r]), shape)[0]
        np.testing.assert_allclose(heights, CLOSED_FORMS[profile.name](r, shape), rtol=1e-9, atol=1e-12)


def test_a_height_hangs_on_its_own_distance_radius_and_shape_alone(profile: Profile) -> None:
    """So that all derivatives come of one backward pass, and droplets may be drawn together."""
    q, r = torch.linspace(0, 3, 7, dtype=torch.float64), torch.linspace(2, 5, 7, dtype=torch.float64)
    shapes = torch.tensor(shapes_of(profile, 3, (7,)))
    together = profile.height(q, r, shapes)
    alone = torch.stack([profile.height(q[k], r[k], shapes[k]) for k in range(7)])
    torch.testing.assert_close(together, alone, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("left_out", [1e-2, 1e-5, 3e-7])
def test_beyond_its_support_a_droplet_is_as_low_as_said(profile: Profile, left_out: float) -> None:
    r, shape = np.geomspace(1.0, 60.0, 9), shapes_of(profile, 1)
    end = profile.support(r, shape, left_out)
    beyond = np.abs(profile.height_at(end[:, None] * np.linspace(1, 3, 400), r, shape))
    if profile.name == "radial":  # the bound is of the disc: the curve over it may rise
        flat = np.array([*shape[:1], *np.zeros(len(shape) - 1)])
        beyond = np.abs(profile.height_at(end[:, None] * np.linspace(1, 3, 400), r, flat))
    within = np.abs(profile.height_at(end[:, None] * np.linspace(0, 1, 4000), r, shape))
    assert (beyond.max(1) <= left_out * np.maximum(within.max(1), 1.0) * (1 + 1e-6)).all()
    assert (end < 8 * (r + (shape[0] if len(shape) else 0.0))).all()


def test_a_support_that_is_searched_for_is_that_in_closed_form(profile: Profile) -> None:
    r, shape = np.geomspace(2.0, 40.0, 6), profile.initial_shape
    searched = replace(profile, support_px=None).support(r, shape, 1e-5)
    assert searched == pytest.approx(profile.support(r, shape, 1e-5), rel=0.05 if profile.name == "rimmed" else 0.01)
    assert (searched < 1.01 * profile.support(r, shape, 1e-5)).all()


@pytest.mark.parametrize("share", [0.5, 1.0, 2.0, 5.0, 20.0, 100.0])
def test_the_half_radius_is_where_the_droplet_as_drawn_is_half_as_high(profile: Profile, share: float) -> None:
    """To a thousandth of a pixel, for radii of half an edge to a hundred edges; of ``radial`` with a flat curve."""
    fine = 16  # pixels to a px: only ratios of lengths matter
    width = 1.5
    in_px = np.array([name.endswith("_px") for name in profile.shape_names], bool)
    shape = np.where(in_px, width, np.where(profile.log, profile.initial_shape, 0.0))
    half = float(profile.half_radius(np.array([share * width]), shape)[0])
    r, zero = torch.tensor([fine * share * width], dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    length = int(fine * (4 * half + 10))
    grown = np.where(in_px, fine * shape, shape)
    row = render(zero, zero, r, zero + 0.7, 0.0, (1, length), profile.name, "reference", torch.tensor(grown))
    heights = row[0].numpy() / (row.max() if profile.name in ("ring", "rimmed") else row[0, 0]).numpy()
    last = np.flatnonzero(heights > 0.5)[-1]
    drawn = last + (heights[last] - 0.5) / (heights[last] - heights[last + 1])
    assert half == pytest.approx(drawn / fine, abs=1e-3)


@pytest.mark.parametrize("of", ["as it is", "without compiled code"])
def test_columns_are_the_height_and_its_small_differences(profile: Profile, of: str) -> None:
    """What the joint fit is made of: height, and derivatives by x, y, log r and the unconstrained shared numbers."""
    x, y, r, *_, shape = (t.numpy() for t in droplets_of(profile, 5, (), 6, (40, 50)))
    drawn = profile if of == "as it is" else replace(profile, compiled=None)
    columns = columns_of_droplets(drawn, x, y, r, shape, (40, 50), 1e-9)
    free = profile.unconstrained(shape)

    def height(k: int, step: Array) -> Array:
        """Height of a droplet in its window, its unknowns a step from where they are."""
        left, top, wide, high = columns.box[k]
        dx, dy = left + np.arange(wide) - x[k] - step[0], top + np.arange(high)[:, None] - y[k] - step[1]
        moved = profile.constrained(free + step[3:])
        distance = np.hypot(*np.broadcast_arrays(dx, dy)).reshape(1, -1)
        return profile.height_at(distance, np.array([r[k] * np.exp(step[2])]), moved).reshape(high, wide)

    assert columns.number == 4 + profile.size
    for k in np.flatnonzero(np.diff(columns.before)):
        pictures = columns.kept[columns.before[k] * columns.number : columns.before[k + 1] * columns.number]
        pictures = pictures.reshape(columns.number, columns.box[k, 3], columns.box[k, 2])
        steps = np.eye(columns.number - 1) * 1e-5
        expected = [height(k, 0 * steps[0]), *((height(k, s) - height(k, -s)) / 2e-5 for s in steps)]
        # What the window leaves out is 1e-9 of the height, and some more of its derivatives.
        np.testing.assert_allclose(pictures, expected, rtol=2e-5, atol=2e-6 * (1 + np.abs(expected).max()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kernel", ["auto", "separable", "bands", "windows"])
@quiet
@given(
    seed=st.integers(0, 10**6),
    batch=st.sampled_from([(), (3,), (2, 2)]),
    number=st.integers(0, 8),
    height=st.integers(1, 50),
    width=st.integers(1, 50),
)
def test_every_kernel_keeps_the_values_and_gradients_of_the_definition(
    profile: Profile,
    kernel: str,
    dtype: torch.dtype,
    seed: int,
    batch: tuple[int, ...],
    number: int,
    height: int,
    width: int,
) -> None:
    size = (height, width)
    leaves = [t.to(dtype).requires_grad_() for t in droplets_of(profile, seed, batch, number, size)]
    exact = [t.detach().double().requires_grad_() for t in leaves]
    image = render(*leaves[:5], size, profile.name, kernel, leaves[5])
    truth = render(*exact[:5], size, profile.name, "reference", exact[5])
    assert image.dtype == dtype
    assert image.shape == (*batch, *size)
    # A curve may be steep past the edge, where the droplet is cut: all is measured by what it reaches.
    scale = 4.0 * (1 + number)
    assert float((image.double() - truth).detach().abs().max()) <= TOLERANCE[dtype] * scale
    weight = torch.randn(image.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    got = torch.autograd.grad((image * weight.to(dtype)).sum(), leaves, allow_unused=True)
    expected = torch.autograd.grad((truth * weight.to(dtype).double()).sum(), exact, allow_unused=True)
    for one, other in zip(got, expected, strict=True):
        if one is not None and one.numel():
            assert other is not None
            assert float((one.double() - other).abs().max()) <= 10 * TOLERANCE[dtype] * scale * max(size) ** 2


@pytest.mark.global_rng
def test_second_derivatives_are_those_of_small_differences(profile: Profile) -> None:
    at = [torch.tensor(v, dtype=torch.float64).requires_grad_() for v in ([2.1, 4.0], [3.0, 2.2], [1.7, 2.4])]
    rest = [torch.tensor(v, dtype=torch.float64).requires_grad_() for v in ([0.5, -0.8], 0.1)]
    if profile.size:
        rest.append(torch.tensor(shapes_of(profile, 2)).requires_grad_())
    torch.autograd.gradgradcheck(
        lambda x, y, r, a, bg, *shape: render(x, y, r, a, bg, (6, 7), profile.name, shape=shape[0] if shape else None),
        (*at, *rest),
    )


def test_batches_broadcast_and_map(profile: Profile) -> None:
    leaves = droplets_of(profile, 3, (4,), 5, (20, 30))
    together = render(*leaves[:5], (20, 30), profile.name, shape=leaves[5])
    alone = [render(*(t[k] for t in leaves[:5]), (20, 30), profile.name, shape=leaves[5][k]) for k in range(4)]
    torch.testing.assert_close(together, torch.stack(alone), rtol=1e-12, atol=1e-12)
    mapped = torch.vmap(lambda *t: render(*t[:5], (20, 30), profile.name, shape=t[5]))(*leaves)
    torch.testing.assert_close(mapped, together, rtol=1e-12, atol=1e-12)
