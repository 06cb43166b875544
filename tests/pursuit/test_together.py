"""All droplets at once: normal equations, the optimum, the evidence and first-order worths, against dense twins."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.optimize import least_squares

from pyrodrop.pursuit import deaths, together
from pyrodrop.pursuit.arrangement import Arrangement, Bounds
from pyrodrop.pursuit.search import Search
from pyrodrop.rendering import render

SIZE = (50, 60)
NOISE = 0.02
BOUNDS = Bounds((0.0, 1.0), (0.0, 1.0), (0.5, 40.0), (1.5, 0.75), NOISE)
LIMITS = np.array([0.0, 1.0, 0.5, 40.0, 1.5, (NOISE / 0.75) ** 2])
# Two that overlap much, one broad and faint, one cut by the border, and one alone.
DROPLETS = np.array(
    [
        [20.0, 20.0, 4.0, 0.5],
        [25.0, 22.0, 3.0, 0.4],
        [30.0, 25.0, 12.0, 0.1],
        [59.0, 10.0, 4.0, 0.6],
        [45.0, 42.0, 2.0, 0.7],
    ]
)
Doubles = npt.NDArray[np.float64]


def image_of(droplets: Any, level: Any) -> torch.Tensor:
    x, y, r, a = torch.as_tensor(droplets, dtype=torch.float64).unbind(-1)
    return render(x, y, r, a, torch.as_tensor(level, dtype=torch.float64), SIZE, kernel="reference")


def arrangement(droplets: Doubles, level: float, image: torch.Tensor) -> Arrangement:
    residual = (image - image_of(droplets, level)).float().numpy()
    return Arrangement(droplets.copy(), level, residual)


def noisy() -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return image_of(DROPLETS, 0.2) + NOISE * torch.randn(SIZE, generator=generator, dtype=torch.float64)


def jacobian(droplets: Doubles) -> Doubles:
    """(H W, 4 n + 1) derivatives of the image by x / r, y / r, log r and amplitude of each, and the background."""
    values = torch.cat([torch.as_tensor(droplets).flatten(), torch.tensor([0.2], dtype=torch.float64)])

    def image(v: torch.Tensor) -> torch.Tensor:
        return image_of(v[:-1].reshape(-1, 4), v[-1]).flatten()

    found = torch.autograd.functional.jacobian(image, values).numpy()
    r = droplets[:, 2]
    scale = np.column_stack([r, r, r, np.ones_like(r)]).ravel()
    found[:, :-1] *= scale
    return found


def dense(droplets: Doubles) -> Doubles:
    found = jacobian(droplets)
    matrix: Doubles = found.T @ found
    matrix[np.arange(2, 4 * len(droplets), 4), np.arange(2, 4 * len(droplets), 4)] += LIMITS[5]
    return matrix


def test_normal_equations_are_the_inner_products_of_the_derivatives() -> None:
    normal = together.normal_equations(DROPLETS, SIZE, LIMITS)
    expected = dense(DROPLETS)
    # Droplets end at 4.5 radii, at 4e-5 of their height.
    np.testing.assert_allclose(normal.matrix.toarray(), expected[:-1, :-1], rtol=1e-3, atol=2e-3)
    np.testing.assert_allclose(normal.border, expected[-1, :-1], rtol=1e-3, atol=2e-2)
    assert normal.pixels == expected[-1, -1]
    assert np.linalg.eigvalsh(normal.matrix.toarray()).min() > 0


def test_settling_together_ends_where_a_general_least_squares_solver_does() -> None:
    image = noisy()
    start = DROPLETS + np.array([0.4, -0.3, 0.3, 0.03])
    found = arrangement(start, 0.15, image)
    cost = together.settle(found, BOUNDS, LIMITS, 50, 1e-9)

    def misfit(v: Doubles) -> Doubles:
        rest = (image - image_of(v[:-1].reshape(-1, 4), v[-1])).numpy().ravel()
        return np.concatenate([rest, math.sqrt(LIMITS[5]) * (np.log(v[2:-1:4]) - LIMITS[4])])

    twin = least_squares(misfit, np.append(start.ravel(), 0.15), x_scale="jac", xtol=1e-12, ftol=1e-12)
    assert cost == pytest.approx(twin.cost, abs=0.01 * NOISE**2)
    np.testing.assert_allclose(found.droplets, twin.x[:-1].reshape(-1, 4), rtol=0, atol=2e-3)
    assert found.background == pytest.approx(twin.x[-1], abs=1e-4)
    left = (image - image_of(found.droplets, found.background)).numpy()
    np.testing.assert_allclose(found.residual, left, rtol=0, atol=1e-4)


def test_settling_together_stays_within_the_bounds() -> None:
    truth = np.array([[20.0, 20.0, 4.0, 0.5], [40.0, 30.0, 3.0, 0.9]])
    found = arrangement(truth.copy(), 0.05, image_of(truth, 0.05))
    found.droplets[:, 3] = 0.3
    found.residual = (image_of(truth, 0.05) - image_of(found.droplets, 0.05)).float().numpy()
    tight = BOUNDS._replace(amplitude=(0.0, 0.6), background=(0.1, 1.0))
    limits = LIMITS.copy()
    limits[1] = 0.6
    before = together.settle(found, tight, limits, 0, 0.0)
    found.background, found.residual = 0.1, found.residual - np.float32(0.05)
    together.settle(found, tight, limits, 50, 1e-9)
    assert found.background == pytest.approx(0.1)
    assert found.droplets[1, 3] == pytest.approx(0.6)
    assert found.droplets[0, 3] < 0.6
    assert 0.5 * float(np.square(found.residual, dtype=np.float64).sum()) < before


def test_an_arrangement_without_droplets_stays_as_it_is() -> None:
    found = arrangement(np.empty((0, 4)), 0.2, noisy())
    before = found.residual.copy()
    together.settle(found, BOUNDS, LIMITS, 5, 0.0)
    np.testing.assert_array_equal(found.residual, before)


@pytest.mark.parametrize("chosen", [[0], [0, 1], [0, 1, 2, 3, 4], []])
def test_log_evidence_is_that_of_the_dense_determinant(chosen: list[int]) -> None:
    droplets = DROPLETS[chosen]
    n = len(droplets)
    image = noisy()
    found = arrangement(droplets, 0.2, image)
    r = droplets[:, 2]
    matrix = dense(droplets) / NOISE**2
    least = np.zeros((n, 4))
    least[:, 0], least[:, 1], least[:, 3] = 12 * (r / 60) ** 2, 12 * (r / 50) ** 2, 12
    matrix[np.arange(4 * n), np.arange(4 * n)] += least.ravel()
    fit = -0.5 * float((found.residual.astype(float) ** 2).sum()) / NOISE**2
    z = (np.log(r) - 1.5) / 0.75
    prior = (-0.5 * z**2 - math.log(0.75 * math.sqrt(2 * math.pi)) + np.log(r**2 / (50 * 60))).sum()
    volume = 0.5 * (4 * n + 1) * math.log(2 * math.pi) - 0.5 * np.linalg.slogdet(matrix)[1]
    expected = fit + prior + volume + math.lgamma(n + 1)
    assert together.log_evidence(found, BOUNDS, LIMITS) == pytest.approx(expected, abs=0.05)


def test_evidence_prefers_one_droplet_to_two_that_stand_for_it() -> None:
    one = np.array([[30.0, 25.0, 4.0, 0.6]])
    image = image_of(one, 0.2) + NOISE * torch.randn(SIZE, generator=torch.Generator().manual_seed(1))
    pair = np.array([[29.8, 25.0, 4.0, 0.3], [30.2, 25.0, 4.0, 0.3]])
    evidences = []
    for droplets in (one, pair, one[:0]):
        found = arrangement(droplets, 0.2, image)
        together.settle(found, BOUNDS, LIMITS, 30, 1e-8)
        evidences.append(together.log_evidence(found, BOUNDS, LIMITS))
    assert evidences[0] > evidences[1] > evidences[2]


def test_first_order_worths_are_what_the_normal_equations_say() -> None:
    found = deaths.first_order_worths(DROPLETS, np.arange(len(DROPLETS)), *SIZE, LIMITS)
    matrix = dense(DROPLETS)
    for k in range(len(DROPLETS)):
        others = np.delete(np.arange(len(matrix)), np.arange(4 * k, 4 * k + 4))
        cross = matrix[others, 4 * k + 3]
        left = matrix[4 * k + 3, 4 * k + 3] - cross @ np.linalg.solve(matrix[np.ix_(others, others)], cross)
        # Those that do not overlap the droplet do not follow, which can only make it worth a little more.
        expected = 0.5 * DROPLETS[k, 3] ** 2 * left
        assert 0.995 * expected < found[k] < 1.03 * expected


def test_a_droplet_that_stands_for_the_background_is_worth_next_to_nothing() -> None:
    faint = np.array([[30.0, 25.0, 38.0, 0.02], [20.0, 20.0, 4.0, 0.5]])
    broad, sharp = deaths.first_order_worths(faint, np.arange(len(faint)), *SIZE, LIMITS)
    alone = 0.5 * 0.02**2 * float((image_of([[30.0, 25.0, 38.0, 1.0]], 0.0) ** 2).sum())
    assert broad < 0.1 * alone
    assert sharp > 100 * broad


def test_search_counts_evidence_as_the_module_does() -> None:
    search = Search(SIZE, BOUNDS)
    image = noisy().float().numpy()
    found = search.resume(image, 0.2, DROPLETS)
    search.settle_together(found, 20)
    assert search.log_evidence(found) == together.log_evidence(found, BOUNDS, LIMITS)
