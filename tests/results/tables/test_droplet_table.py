"""The droplet table: its columns, its statistics, and each flag decided right."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pyrodrop.results.checks.residuals import DropletResiduals
from pyrodrop.results.tables.droplet_table import droplet_table
from pyrodrop.results.tables.flags import FLAGS, MeasuredDroplets

QUANTITIES = ("x_px", "y_px", "radius_px", "amplitude")
COLUMNS = ["id"]
for quantity in QUANTITIES:
    COLUMNS += [quantity, f"{quantity}_sd", f"{quantity}_q05", f"{quantity}_q95"]
COLUMNS += ["presence", "flags"]

IN_UM = ("x_um", "y_um", "radius_um", *(f"diameter_um{end}" for end in ("", "_sd", "_q05", "_q95")))


def certain(rows: list[tuple[float, float, float, float]]) -> dict[str, Tensor]:
    """Draws that are all alike, of droplets (x, y, radius, amplitude)."""
    columns = torch.tensor(rows, dtype=torch.float64).reshape(-1, 4).T
    return {name: column.expand(3, -1) for name, column in zip(QUANTITIES, columns, strict=True)}


def flags_of(rows: list[tuple[float, float, float, float]], size: tuple[int, int], noise: float = 0.0) -> list[str]:
    return droplet_table(certain(rows), size, noise)["flags"].tolist()


def test_columns_are_those_that_scripts_rely_on() -> None:
    draws = certain([(5, 6, 2, 0.5)])
    assert droplet_table(draws, (20, 20), 0.1).columns.tolist() == COLUMNS
    with_size = droplet_table(draws, (20, 20), 0.1, pixel_size_um=0.5).columns.tolist()
    assert with_size == [*COLUMNS, *IN_UM]


def test_statistics_are_those_of_the_draws() -> None:
    generator = torch.Generator().manual_seed(0)
    draws = {name: 10 + torch.rand(101, 3, generator=generator) for name in QUANTITIES}
    table = droplet_table(draws, (40, 40), 0.1)
    assert table["id"].tolist() == [0, 1, 2]
    for name in QUANTITIES:
        ordered = draws[name].double().sort(0).values.numpy()
        np.testing.assert_allclose(table[name], ordered.mean(0), rtol=1e-12)
        np.testing.assert_allclose(table[f"{name}_sd"], ordered.std(0), rtol=1e-9)
        # Of 101 draws the 5 % and 95 % quantiles are the 6th and the 96th.
        np.testing.assert_allclose(table[f"{name}_q05"], ordered[5], rtol=1e-12)
        np.testing.assert_allclose(table[f"{name}_q95"], ordered[95], rtol=1e-12)


def test_micrometres_are_pixels_times_their_size() -> None:
    table = droplet_table(certain([(5, 6, 2, 0.5), (1.5, 0, 4, 0.1)]), (20, 20), 0.1, pixel_size_um=0.25)
    assert table["x_um"].tolist() == [1.25, 0.375]
    assert table["y_um"].tolist() == [1.5, 0.0]
    assert table["radius_um"].tolist() == [0.5, 1.0]
    assert table["diameter_um"].tolist() == table["diameter_um_q05"].tolist() == [1.0, 2.0]


def test_the_sigma_of_gaussians_stands_beside_their_radius_and_says_how_faint_they_are() -> None:
    draws = certain([(5, 6, 2.36, 0.5)])
    table = droplet_table(draws | {"sigma_px": draws["radius_px"] / 1.18}, (20, 20), 0.32)
    assert table.columns.tolist()[9:17] == [
        *(f"radius_px{end}" for end in ("", "_sd", "_q05", "_q95")),
        *(f"sigma_px{end}" for end in ("", "_sd", "_q05", "_q95")),
    ]
    # Signal to noise is 5.5 by sigma and 6.5 by the radius; with a noise of 0.37 it is 4.8 and 5.7.
    assert "faint" not in table["flags"][0]
    assert "faint" in droplet_table(draws | {"sigma_px": draws["radius_px"] / 1.18}, (20, 20), 0.37)["flags"][0]
    assert "faint" not in droplet_table(draws, (20, 20), 0.37)["flags"][0]


def test_presence_is_certain_unless_given() -> None:
    draws = certain([(5, 6, 2, 0.5), (12, 13, 2, 0.5)])
    assert droplet_table(draws, (20, 20), 0.1)["presence"].tolist() == [1.0, 1.0]
    unsure = droplet_table(draws, (20, 20), 0.1, presence=torch.tensor([0.25, 0.75]))
    assert unsure["presence"].tolist() == [0.25, 0.75]


def test_every_flag_has_a_test_here() -> None:
    assert set(FLAGS) == {"border", "overlapping", "faint", "prior_edge", "residual"}
    assert all(meaning for meaning, _ in FLAGS.values())


@pytest.mark.parametrize(
    ("x", "y", "beyond"),
    [
        (10, 10, False),
        (3, 3, False),  # the circle touches the outermost pixel centres, and no more
        (2.9, 10, True),
        (10, 2.9, True),
        (26, 16, False),  # of 30 columns and 20 rows the last are 29 and 19
        (26.1, 10, True),
        (10, 16.1, True),
        (-5, 10, True),
    ],
)
def test_border_is_flagged_where_the_circle_reaches_beyond_the_image(x: float, y: float, beyond: bool) -> None:
    assert flags_of([(x, y, 3, 0.5)], (20, 30)) == ["border" if beyond else ""]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 9), st.integers(0, 9999))
def test_overlapping_is_every_circle_that_meets_another(n: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    x, y, r = generator.uniform(0, 40, n), generator.uniform(0, 40, n), generator.exponential(4, n)
    _, decide = FLAGS["overlapping"]
    found = decide(MeasuredDroplets(x, y, r, np.ones(n), (40, 40), 0.0))
    expected = [
        any(i != j and (x[i] - x[j]) ** 2 + (y[i] - y[j]) ** 2 < (r[i] + r[j]) ** 2 for j in range(n)) for i in range(n)
    ]
    assert found.tolist() == expected


def test_overlapping_is_seen_within_a_larger_and_among_equals() -> None:
    rows = [(50.0, 50.0, 20.0, 0.5), (55.0, 50.0, 1.0, 0.5), (80.0, 20.0, 3.0, 0.5), (85.0, 20.0, 3.0, 0.5)]
    rows += [(20.0, 20.0, 2.0, 0.5), (24.0, 20.0, 2.0, 0.5)]  # these two touch, and no more
    assert flags_of(rows, (100, 100)) == ["overlapping"] * 4 + ["", ""]
    assert flags_of([(50.0, 50.0, 5.0, 0.5), (50.0, 50.0, 5.0, 0.5)], (100, 100)) == ["overlapping"] * 2


@pytest.mark.parametrize("sign", [1, -1])
def test_faint_is_a_signal_below_five_times_the_noise(sign: int) -> None:
    """A Gaussian's matched filter has the signal to noise a r sqrt(pi) / noise: the root of its summed square."""
    rows, columns = np.mgrid[:61, :61]
    profile = np.exp(-((columns - 30) ** 2 + (rows - 30) ** 2) / (2 * 4.0**2))
    limit = 5 * 0.1 / np.sqrt((profile**2).sum())
    droplets = [(30, 30, 4, sign * limit * 0.999), (30, 30, 4, sign * limit * 1.001)]
    table = [flags_of([droplet], (61, 61), noise=0.1)[0] for droplet in droplets]
    assert table == ["faint", ""]


def test_prior_edge_is_a_droplet_that_the_fit_held_back() -> None:
    droplets = certain([(50, 50, 10, 0.5), (20, 20, 10, 0.5)])
    table = droplet_table(droplets, (101, 101), 0.01, at_bounds=np.array([True, False]))
    assert table["flags"].tolist() == ["prior_edge", ""]
    assert droplet_table(droplets, (101, 101), 0.01)["flags"].tolist() == ["", ""]


@pytest.mark.parametrize(
    ("mean_square", "pixels", "flagged"),
    [
        (1.0, 100, False),
        (1.9, 10_000, False),
        (2.1, 10_000, True),
        (3.0, 3, False),
        (3.0, 100, True),
        (np.nan, 0, False),
    ],
)
def test_residual_is_large_and_more_than_chance(mean_square: float, pixels: int, flagged: bool) -> None:
    residuals = DropletResiduals(np.array([mean_square * pixels]), np.array([float(pixels)]))
    table = droplet_table(certain([(50, 50, 5, 0.5)]), (101, 101), 0.01, residuals=residuals)
    assert table["flags"].tolist() == ["residual" if flagged else ""]


def test_several_flags_stand_side_by_side_and_a_mean_decides() -> None:
    draws = certain([(1, 10, 3, 0.001), (2, 10, 3, 0.9)])
    table = droplet_table(draws, (20, 20), 0.05)
    assert [set(flags.split()) for flags in table["flags"]] == [
        {"border", "overlapping", "faint"},
        {"border", "overlapping"},
    ]
    draws = {name: torch.tensor([[low], [high]]) for name, low, high in (("x_px", 0, 20), ("y_px", 10, 10))}
    draws |= {"radius_px": torch.tensor([[1.0], [3.0]]), "amplitude": torch.tensor([[0.2], [0.8]])}
    assert droplet_table({k: v.double() for k, v in draws.items()}, (21, 21), 0.05)["flags"].tolist() == [""]


def test_an_empty_table_has_the_same_columns(tmp_path_factory: pytest.TempPathFactory) -> None:
    table = droplet_table({name: torch.empty(5, 0) for name in QUANTITIES}, (20, 20), 0.1, pixel_size_um=1.0)
    assert table.columns.tolist() == [*COLUMNS, *IN_UM]
    assert len(table) == 0
    path = tmp_path_factory.mktemp("empty") / "droplets.csv"
    table.to_csv(path, index=False)
    assert pd.read_csv(path).columns.tolist() == table.columns.tolist()


def test_border_is_also_the_edge_of_what_was_looked_at() -> None:
    looked_at = np.ones((40, 40), bool)
    looked_at[:, 30:] = False
    rows = [(26.0, 20.0, 5.0, 1.0), (12.0, 20.0, 5.0, 1.0)]
    assert droplet_table(certain(rows), (40, 40), 0.0, looked_at=looked_at)["flags"].tolist() == ["border", ""]
    assert droplet_table(certain(rows), (40, 40), 0.0)["flags"].tolist() == ["", ""]
