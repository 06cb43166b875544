"""How many droplets: the number of a simulated image is found, and none where there is nothing."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from pyrodrop.images.simulation.simulate import simulate
from pyrodrop.pursuit.arrangement import Bounds, meeting
from pyrodrop.pursuit.count import counted_peaks
from pyrodrop.pursuit.evidence import log_volumes, widths
from pyrodrop.pursuit.search import Search, mode
from pyrodrop.pursuit.start import Start
from pyrodrop.rendering import render
from pyrodrop.results.tables.truth_comparison import compare_with_truth


@pytest.mark.parametrize(("n_droplets", "noise"), [(8, 0.02), (30, 0.02), (30, 0.08)])
def test_the_number_of_well_seen_droplets_is_found(n_droplets: int, noise: float) -> None:
    image, truth = simulate(
        n_droplets, (160, 200), seed=5, kind="gray", noise=noise, amplitude=(0.3, 0.8), radius_px=(2.5, 7.0)
    )
    found = counted_peaks(image.channel("gray"), noise)
    assert len(found.x) == len(truth) == n_droplets
    distance = torch.cdist(
        torch.tensor(truth[["x_px", "y_px"]].to_numpy(), dtype=torch.float64),
        torch.stack([found.x, found.y], -1).double(),
    )
    assert float(distance.min(1).values.max()) < 1.0


@pytest.mark.parametrize(
    ("separation", "side", "noise", "seed"),
    [(1.5, 187, 0.01, 7), (1.5, 187, 0.1, 8), (0.7, 132, 0.01, 7), (0.7, 132, 0.05, 8)],
)
def test_the_number_of_overlapping_droplets_is_found(separation: float, side: int, noise: float, seed: int) -> None:
    """Moderate overlap, and heavy; a peak signal to noise of 50, and of 5 and 10."""
    image, truth = simulate(
        50,
        (side, side),
        seed,
        kind="gray",
        noise=noise,
        separation=separation,
        amplitude=(0.4, 0.6),
        radius_px=(2.0, 7.0),
        margin=1.0,
    )
    found = counted_peaks(image.channel("gray"), noise)
    table = pd.DataFrame({"x_px": found.x, "y_px": found.y, "radius_px": found.r, "presence": 1.0})
    figures = compare_with_truth(table, truth)
    assert figures["n_found"] == figures["n_matched"] == 50


def test_those_that_are_asked_are_judged_as_among_all() -> None:
    """And those that settle leave the others, and the level, as they are."""
    noise = 0.05
    image, _ = simulate(
        40, (140, 160), 3, kind="gray", noise=noise, separation=0.8, amplitude=(0.4, 0.6), radius_px=(2.0, 6.0)
    )
    pixels = image.channel("gray").numpy().copy()
    search = Search(pixels.shape, Bounds((0.0, 1.0), (0.0, 1.0), (0.5, 40.0), (1.5, 0.75), noise))
    found = search.begin(pixels, mode(pixels), 40)
    search.settle_together(found, 8)
    asked = np.array([3, 17, 4, 39])
    worths, nearest = search.least_worths(found)
    some, their_nearest = search.least_worths(found, asked)
    assert some == pytest.approx(worths[asked])
    assert (their_nearest == nearest[asked]).all()

    before, cost = found.droplets.copy(), search.cost(found)
    found.droplets[asked, 0] += 0.3
    level, moved = found.background, search.resume(pixels, found.background, found.droplets)
    worse = search.cost(moved)
    search.settle_some(moved, asked, 8)
    others = np.setdiff1d(np.arange(40), asked)
    assert moved.droplets[others] == pytest.approx(before[others])
    assert moved.background == level
    assert search.cost(moved) < cost + 0.05 * (worse - cost)
    again = search.resume(pixels, level, moved.droplets)
    assert moved.residual == pytest.approx(again.residual, abs=1e-5)


def test_who_meets_whom() -> None:
    droplets = np.array([[10.0, 10, 2, 1], [21.0, 10, 2, 1], [40.0, 10, 4, 1]])
    assert meeting(droplets[:1], droplets).tolist() == [0, 1]
    assert meeting(droplets[2:], droplets).tolist() == [2]
    assert meeting(droplets[:0], droplets).tolist() == []


def test_faint_broad_droplets_do_not_stand_for_the_background() -> None:
    """An image full of tails, whose mode is no background: the level has to be found by settling together."""
    image, _ = simulate(
        50, (132, 132), 7, kind="gray", noise=0.01, separation=0.7, amplitude=(0.4, 0.6), radius_px=(2.0, 7.0)
    )
    found = counted_peaks(image.channel("gray"), 0.01)
    assert found.bg == pytest.approx(0.14, abs=0.002)
    assert float(found.amplitude.min()) > 0.3


def test_noise_alone_holds_no_droplets() -> None:
    noise = 0.3 + 0.05 * torch.randn(120, 120, generator=torch.Generator().manual_seed(1))
    found = counted_peaks(noise, 0.05)
    assert len(found.x) == 0
    assert found.bg == pytest.approx(0.3, abs=0.01)


def droplet(amplitude: float, r: float) -> Start:
    one = torch.ones(1, dtype=torch.float64)
    return Start(0.0, 40.3 * one, 39.6 * one, r * one, amplitude * one, one)


def information(amplitude: float, r: float, noise: float) -> torch.Tensor:
    """Fisher information (4, 4) of x, y, r and amplitude of one droplet, from the derivatives of its image."""
    d = droplet(amplitude, r)

    def image(p: torch.Tensor) -> torch.Tensor:
        x, y, radius, a = p
        return render(x[None], y[None], radius[None], a[None], p.new_zeros(()), (80, 80), kernel="reference").flatten()

    point = torch.cat([d.x, d.y, d.r, d.amplitude])
    jacobian = torch.autograd.functional.jacobian(image, point)
    return jacobian.T @ jacobian / noise**2


@pytest.mark.parametrize(("amplitude", "r"), [(0.5, 3.0), (0.2, 6.0)])
def test_widths_and_volumes_are_those_of_the_fisher_information(amplitude: float, r: float) -> None:
    noise = 0.05
    fisher = information(amplitude, r, noise)
    found = widths(droplet(amplitude, r), noise)
    expected = fisher.diagonal().rsqrt()
    torch.testing.assert_close(torch.cat(found), expected, rtol=1e-3, atol=0)

    log_prior = (
        -((math.log(r) - 1.5) ** 2) / (2 * 0.75**2) - math.log(r * 0.75 * math.sqrt(2 * math.pi)) - math.log(80 * 80)
    )
    volume = 0.5 * torch.logdet(2 * math.pi * torch.linalg.inv(fisher))
    assert float(log_volumes(droplet(amplitude, r), (80, 80), noise)) == pytest.approx(
        float(log_prior + volume), abs=1e-3
    )
