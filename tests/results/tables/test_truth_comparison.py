"""Found droplets against true ones: who is matched with whom, and the figures of agreement."""

import math

import numpy as np
import pandas as pd
import pytest

from pyrodrop.results.tables.truth_comparison import compare_with_truth, shared


def table(*rows: tuple[float, ...], presence: float = 1.0) -> pd.DataFrame:
    frame = pd.DataFrame(list(rows), columns=["x_px", "y_px", "radius_px", "amplitude"])
    return frame.assign(presence=presence)


TRUTH = table((10, 10, 4, 0.5), (30, 10, 8, 0.4), (50, 30, 2, 0.2), (90, 90, 5, 0.8))


def test_a_table_agrees_with_itself() -> None:
    figures = compare_with_truth(TRUTH, TRUTH.drop(columns="presence"))
    assert (figures["n_true"], figures["n_found"], figures["n_matched"]) == (4, 4, 4)
    assert [figures[name] for name in ("recall", "precision", "f1")] == pytest.approx([1, 1, 1])
    assert [figures[f"{name}_median_abs_rel"] for name in ("radius", "amplitude")] == [0, 0]
    assert figures["centre_rmse_px"] == 0


def test_figures_are_those_of_the_matches() -> None:
    found = table((11, 10, 5, 0.25), (30, 13, 8, 0.4), (70, 70, 3, 0.9), (51, 31, 3, 0.3), (0, 0, 1, 1))
    figures = compare_with_truth(found, TRUTH)
    assert figures["n_matched"] == 3
    assert figures["recall"] == 3 / 4
    assert figures["precision"] == 3 / 5
    assert figures["f1"] == pytest.approx(2 * 0.75 * 0.6 / 1.35)
    assert figures["centre_rmse_px"] == pytest.approx(math.sqrt((1 + 9 + 2) / 3))
    assert figures["radius_median_abs_rel"] == pytest.approx(np.median([0.25, 0, 0.5]))
    assert figures["amplitude_median_abs_rel"] == pytest.approx(np.median([0.5, 0, 0.5]))


@pytest.mark.parametrize(("radius", "reach"), [(10.0, 5.0), (4.0, 2.0), (0.5, 2.0)])
def test_a_match_is_within_half_the_true_radius_or_two_pixels(radius: float, reach: float) -> None:
    truth = table((50, 50, radius, 0.5))
    for distance, matched in ((reach - 1e-6, 1), (reach + 1e-6, 0)):
        assert compare_with_truth(table((50, 50 + distance, 1, 0.5)), truth)["n_matched"] == matched


def test_one_found_droplet_stands_for_one_true_one() -> None:
    truth = table((10, 10, 8, 0.5), (13, 10, 8, 0.5))
    assert compare_with_truth(table((11.5, 10, 8, 0.5)), truth)["n_matched"] == 1


def test_all_that_can_be_matched_is_matched_at_the_least_distance() -> None:
    """The nearest pair first would leave the other two alone."""
    truth = table((10, 10, 8, 0.5), (16, 10, 8, 0.25))
    found = table((13.5, 10, 8, 0.5), (19, 10, 8, 0.25))
    figures = compare_with_truth(found, truth)
    assert figures["n_matched"] == 2
    assert figures["centre_rmse_px"] == pytest.approx(math.sqrt((3.5**2 + 3**2) / 2))


def test_every_row_of_the_table_is_a_droplet() -> None:
    found = TRUTH.assign(presence=[0.5, 0.49, 1.0, 0.0])
    assert compare_with_truth(found, TRUTH)["n_found"] == 4
    assert compare_with_truth(found, TRUTH)["n_matched"] == 4


def test_a_gaussians_own_radius_is_held_against_the_truth() -> None:
    found = TRUTH.assign(sigma_px=TRUTH["radius_px"], radius_px=1.18 * TRUTH["radius_px"])
    assert compare_with_truth(found, TRUTH)["radius_median_abs_rel"] == 0


def test_nothing_found_or_nothing_there() -> None:
    nothing = TRUTH.iloc[:0]
    for found, truth in ((nothing, TRUTH), (TRUTH, nothing), (nothing, nothing)):
        figures = compare_with_truth(found, truth)
        assert (figures["n_true"], figures["n_found"], figures["n_matched"]) == (len(truth), len(found), 0)
        assert (figures["recall"], figures["precision"], figures["f1"]) == (0, 0, 0)
        assert (
            figures["centre_rmse_px"] is figures["radius_median_abs_rel"] is figures["amplitude_median_abs_rel"] is None
        )


def test_a_truth_without_amplitudes_is_compared_without() -> None:
    figures = compare_with_truth(TRUTH, TRUTH.drop(columns="amplitude"))
    assert figures["amplitude_median_abs_rel"] is None
    assert figures["radius_median_abs_rel"] == 0


def test_droplets_that_another_table_has_too() -> None:
    other = table((11.9, 10, 5.9, 0.1), (30, 14.1, 8, 0.4), (50, 30, 3.1, 0.2))
    assert shared(TRUTH, other).tolist() == [True, False, False, False]
    assert shared(TRUTH, TRUTH).all()
    assert not shared(TRUTH, TRUTH.iloc[:0]).any()
    assert shared(TRUTH.iloc[:0], TRUTH).shape == (0,)
    assert shared(TRUTH, table((50, 30, 2.9, 0.2))).tolist() == [False, False, True, False]
