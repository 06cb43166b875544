"""Droplets at the peaks of an image: recovery of a known truth, the arithmetic of gains, and the odd images."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pyrodrop.images.simulation.simulate import simulate
from pyrodrop.pursuit.start import Start, peaks, rearrange
from pyrodrop.rendering import render


def image_of(start: Start, size: tuple[int, int]) -> Tensor:
    columns = (column.double() for column in (start.x, start.y, start.r, start.amplitude))
    return render(*columns, torch.tensor(start.bg, dtype=torch.float64), size, kernel="reference")


def droplets(rows: list[tuple[float, float, float, float]], bg: float = 0.2) -> Start:
    x, y, r, amplitude = torch.tensor(rows, dtype=torch.float64).unbind(-1)
    return Start(bg, x, y, r, amplitude, torch.zeros_like(x))


def half_square(residual: Tensor) -> float:
    return 0.5 * float((residual.double() ** 2).sum())


def matched(found: Start, truth: Start) -> Tensor:
    """For each true droplet, the nearest one found."""
    distance = torch.hypot(found.x[None] - truth.x[:, None], found.y[None] - truth.y[:, None])
    nearest = distance.argmin(-1)
    assert nearest.unique().numel() == truth.x.numel()
    return nearest


def assert_recovered(found: Start, truth: Start, centre: float, radius: float, amplitude: float) -> None:
    nearest = matched(found, truth)
    torch.testing.assert_close(found.x[nearest], truth.x, atol=centre, rtol=0, check_dtype=False)
    torch.testing.assert_close(found.y[nearest], truth.y, atol=centre, rtol=0, check_dtype=False)
    torch.testing.assert_close(found.r[nearest], truth.r, atol=0, rtol=radius, check_dtype=False)
    torch.testing.assert_close(found.amplitude[nearest], truth.amplitude, atol=0, rtol=amplitude, check_dtype=False)


def lattice(seed: int, sign: bool = False) -> Start:
    """Thirty well-separated droplets of radii 1.5 to 6 on 180 x 216 pixels, none at the border."""
    generator = np.random.default_rng(seed)
    rows = []
    for j in range(5):
        for i in range(6):
            x, y = 18 + 36 * i + generator.uniform(-3, 3), 18 + 36 * j + generator.uniform(-3, 3)
            height = generator.uniform(0.3, 0.9) * (generator.choice([-1, 1]) if sign else 1)
            rows.append((x, y, math.exp(generator.uniform(math.log(1.5), math.log(6))), height))
    return droplets(rows)


@pytest.mark.parametrize("seed", [0, 1])
def test_well_separated_droplets_are_recovered(seed: int) -> None:
    truth = lattice(seed)
    found = peaks(image_of(truth, (180, 216)), 30)
    assert_recovered(found, truth, centre=0.02, radius=0.01, amplitude=0.01)
    assert found.bg == pytest.approx(0.2, abs=1e-3)


def test_errors_from_noise_are_those_of_the_cramer_rao_bound() -> None:
    """Far from border and neighbours, r >> 1 px: sd(x) = sqrt(2/pi) e/a, sd(log r) = e/(sqrt(pi) r a)."""
    truth = lattice(2)
    error = 0.03
    noise = error * torch.randn(180, 216, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = peaks(image_of(truth, (180, 216)) + noise, 30, error_scale=error)
    k = matched(found, truth)
    sd = math.sqrt(2 / math.pi) * error / truth.amplitude
    scores = [
        (found.x[k] - truth.x) / sd,
        (found.y[k] - truth.y) / sd,
        (found.r[k] / truth.r).log() * math.sqrt(math.pi) * truth.r * truth.amplitude / error,
        (found.amplitude[k] - truth.amplitude) * truth.r / math.sqrt(2 / math.pi) / error,
    ]
    for score in scores:
        assert score.abs().max() < 4
        assert 0.6 < float(score.square().mean().sqrt()) < 1.4


def test_dark_and_bright_droplets_are_found_where_both_are_allowed() -> None:
    truth = lattice(3, sign=True)
    found = peaks(image_of(truth, (180, 216)), 30, amplitude_range=(-1.0, 1.0))
    assert_recovered(found, truth, centre=0.02, radius=0.01, amplitude=0.01)


def test_dark_droplets_alone() -> None:
    truth = droplets([(20.3, 30.1, 3.0, -0.5), (60.2, 30.6, 5.0, -0.1)], bg=0.7)
    found = peaks(image_of(truth, (60, 80)), 2, amplitude_range=(-1.0, 0.0))
    assert_recovered(found, truth, centre=0.02, radius=0.01, amplitude=0.01)


def test_droplets_cut_by_the_border_are_recovered() -> None:
    truth = droplets([(0.4, 30.2, 4.0, 0.6), (79.1, 0.5, 6.0, 0.5), (40.5, 58.7, 3.0, 0.7)])
    found = peaks(image_of(truth, (60, 80)), 3)
    assert_recovered(found, truth, centre=0.05, radius=0.02, amplitude=0.02)


def test_overlapping_droplets_part() -> None:
    truth = droplets([(30.0, 30.0, 4.0, 0.5), (38.0, 32.0, 4.0, 0.4), (70.0, 30.0, 5.0, 0.3)])
    found = peaks(image_of(truth, (60, 100)), 3, rounds=20)
    assert half_square(image_of(found, (60, 100)) - image_of(truth, (60, 100))) < 0.01


def test_births_and_deaths_leave_a_local_optimum_where_two_stand_for_one() -> None:
    """Settling together shows what is missing, and what is not: all droplets come out, none twice."""
    image, truth = simulate(
        50,
        (187, 187),
        7,
        kind="gray",
        noise=0.01,
        separation=1.5,
        amplitude=(0.4, 0.6),
        radius_px=(2.0, 7.0),
        margin=1.0,
    )
    channel = image.channel("gray")
    found, born = rearrange(channel, peaks(channel, 50, error_scale=0.01), error_scale=0.01)
    expected = torch.tensor(truth[["x_px", "y_px", "radius_px", "amplitude"]].to_numpy()).unbind(-1)
    assert_recovered(found, Start(0.14, *expected, expected[0]), centre=0.3, radius=0.1, amplitude=0.1)
    assert born.any()


def test_gain_is_what_the_image_loses_without_the_droplet() -> None:
    channel = image_of(lattice(4), (180, 216))
    found = peaks(channel, 12)
    with_all = half_square(channel - image_of(found, channel.shape))
    for k in range(12):
        without = found._replace(amplitude=found.amplitude.index_fill(0, torch.tensor(k), 0.0))
        rise = half_square(channel - image_of(without, channel.shape)) - with_all
        assert float(found.gain[k]) == pytest.approx(rise, rel=2e-3, abs=1e-3)
    assert (found.gain.diff() <= 0).all()


def test_the_same_image_gives_the_same_droplets() -> None:
    channel = torch.rand(70, 90, generator=torch.Generator().manual_seed(1))
    for a, b in zip(peaks(channel, 25), peaks(channel, 25), strict=True):
        assert torch.equal(torch.as_tensor(a), torch.as_tensor(b))


def test_more_droplets_than_peaks_gain_next_to_nothing() -> None:
    truth = droplets([(20.0, 30.0, 3.0, 0.6), (55.0, 25.0, 4.0, 0.5)])
    found = peaks(image_of(truth, (60, 80)), 10)
    assert found.x.shape == (10,)
    matched(found, truth)
    assert (found.gain[2:] < 0.02 * found.gain[1]).all()
    assert half_square(image_of(found, (60, 80)) - image_of(truth, (60, 80))) < 1e-3


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_a_flat_image_has_idle_droplets_apart_from_each_other(level: float) -> None:
    found = peaks(torch.full((40, 50), level), 7)
    assert found.bg == pytest.approx(level, abs=1e-6)
    assert found.amplitude.abs().max() < 1e-5
    assert found.gain.abs().max() < 1e-9
    assert torch.hypot(found.x[:, None] - found.x, found.y[:, None] - found.y).add(torch.eye(7) * 9).min() > 3


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    n=st.integers(0, 5),
    low=st.sampled_from([-1.0, 0.0, 0.2]),
    seed=st.integers(0, 9),
)
def test_any_small_image_keeps_to_the_bounds(height: int, width: int, n: int, low: float, seed: int) -> None:
    channel = torch.rand(height, width, generator=torch.Generator().manual_seed(seed))
    found = peaks(channel, n, amplitude_range=(low, 1.0), radius_range=(0.7, 8.0))
    assert all(column.shape == (n,) and column.isfinite().all() for column in found[1:])
    assert 0 <= found.bg <= 1
    assert ((found.x >= 0) & (found.x <= width) & (found.y >= 0) & (found.y <= height)).all()
    assert ((found.r >= 0.7 - 1e-6) & (found.r <= 8 + 1e-6)).all()
    assert ((found.amplitude >= low) & (found.amplitude <= 1)).all()


def test_births_and_deaths_bring_a_stray_droplet_home() -> None:
    truth = lattice(6)
    channel = image_of(truth, (180, 216))
    astray = truth._replace(
        x=truth.x.clone().index_fill(0, torch.tensor(4), 1.0),
        y=truth.y.clone().index_fill(0, torch.tensor(4), 1.0),
        amplitude=truth.amplitude.clone().index_fill(0, torch.tensor(4), 0.01),
    )
    found, born = rearrange(channel, astray)
    kept = ~born
    assert born[4]
    assert_recovered(found, truth, centre=0.02, radius=0.01, amplitude=0.01)
    torch.testing.assert_close(found.x[kept], truth.x[kept], atol=0.02, rtol=0)


def test_one_of_a_pair_that_stands_for_one_droplet_goes_where_it_is_missed() -> None:
    truth = lattice(7)
    halves = truth.amplitude.clone()
    halves[[8, 20]] = truth.amplitude[8] / 2
    pair = truth._replace(amplitude=halves)
    for column in (pair.x, pair.y, pair.r):
        column[20] = column[8]
    found, born = rearrange(image_of(lattice(7), (180, 216)), pair, rounds=10)
    assert_recovered(found, lattice(7), centre=0.02, radius=0.01, amplitude=0.01)
    assert int(born[[8, 20]].sum()) == 1


def test_births_and_deaths_never_make_it_worse() -> None:
    channel = torch.rand(64, 64, generator=torch.Generator().manual_seed(2))
    start = peaks(channel, 40, rounds=0)
    found, _ = rearrange(channel, start, rounds=6)
    before, after = (half_square(channel - image_of(s, (64, 64))) for s in (start, found))
    assert after <= before


def test_the_prior_of_the_radius_weighs_more_where_the_noise_is_larger() -> None:
    truth = droplets([(40.0, 30.0, 12.0, 0.5)])
    noise = 0.2 * torch.randn(60, 80, generator=torch.Generator().manual_seed(3))
    free, held = (float(peaks(image_of(truth, (60, 80)) + noise, 1, error_scale=e).r) for e in (0.0, 3.0))
    assert abs(math.log(held) - 1.5) < abs(math.log(free) - 1.5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.uint8])
def test_dtype_follows_the_image(dtype: torch.dtype) -> None:
    found = peaks(torch.zeros(20, 20, dtype=dtype), 2)
    assert found.x.dtype == (dtype if dtype.is_floating_point else torch.float32)


@pytest.mark.parametrize(
    ("channel", "options", "message"),
    [
        (torch.zeros(3, 20, 20), {}, r"shape \(3, 20, 20\)"),
        (torch.zeros(0, 20), {}, r"shape \(0, 20\)"),
        (torch.full((20, 20), math.nan), {}, "not finite"),
        (torch.zeros(20, 20), {"amplitude_range": (1.0, 0.0)}, "amplitude_range"),
        (torch.zeros(20, 20), {"radius_range": (0.0, 5.0)}, "above 0 px"),
        (torch.zeros(20, 20), {"log_radius": (1.5, 0.0)}, "log_radius"),
        (torch.zeros(20, 20), {"error_scale": -1.0}, "error_scale"),
    ],
)
def test_what_cannot_be_searched_is_refused(channel: Tensor, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        peaks(channel, 3, **options)


def test_a_negative_number_of_droplets_is_refused() -> None:
    with pytest.raises(ValueError, match="0 or more droplets"):
        peaks(torch.zeros(20, 20), -1)
