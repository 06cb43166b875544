"""Draws as ArviZ has them: the same numbers under the same names, also after a turn on disk."""

import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from fresh_python import run_python

from pyrodrop.inference.nuts import sample_nuts
from pyrodrop.models import centres
from pyrodrop.results.exports.arviz_data import to_arviz, write_netcdf


@pytest.fixture(scope="module")
def arviz() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ArviZ 0.23 says that it is soon rewritten
        return pytest.importorskip("arviz", reason="the extra bayes is not installed")


@pytest.fixture
def draws() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = {"bg": (20,), "x": (20, 5), "r": (20, 5), "val": (20, 6, 7)}
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def test_one_chain_by_name_and_dimension(arviz: ModuleType, draws: dict[str, torch.Tensor]) -> None:
    observed = torch.rand(6, 7, generator=torch.Generator().manual_seed(1))
    data = to_arviz(draws, observed=observed, attributes={"image": "drops.tif"})
    assert data["posterior"]["bg"].dims == ("chain", "draw")
    assert data["posterior"]["x"].dims == data["posterior"]["r"].dims == ("chain", "draw", "droplet")
    assert data["posterior_predictive"]["val"].dims == ("chain", "draw", "y", "x")
    np.testing.assert_array_equal(data["posterior"]["x"].to_numpy()[0], draws["x"])
    np.testing.assert_array_equal(data["posterior_predictive"]["val"].to_numpy()[0], draws["val"])
    np.testing.assert_array_equal(data["observed_data"]["obs"], observed)
    assert data["posterior"].attrs["image"] == "drops.tif"


def test_chains_of_nuts_know_their_number(arviz: ModuleType) -> None:
    sampled = sample_nuts(centres, 40, 30, 3, num_warmup=200, num_samples=30, num_chains=2, seed=0, progress=False)
    data = to_arviz(sampled)
    assert dict(data["posterior"].sizes) == {"chain": 2, "draw": 30, "droplet": 3}
    np.testing.assert_array_equal(data["posterior"]["x"], sampled["x"])
    np.testing.assert_array_equal(data["sample_stats"]["n_steps"], sampled.stats.leapfrog_steps[:, -30:])
    assert data["posterior"].attrs["divergences"] == sampled.stats.divergences
    # ArviZ judges them as we do: its own R-hat of the draws, of the same numbers.
    summary = arviz.summary(data, var_names=["r"], kind="diagnostics", round_to="none")
    assert summary["r_hat"].notna().all()


def test_a_measurement_has_its_channels(arviz: ModuleType, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = {"x_px": (20, 5), "radius_px": (20, 5), "amplitude": (20, 2, 5)}
    draws = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    channels = torch.rand(2, 6, 7, generator=generator)
    data = to_arviz(draws, observed=channels)
    assert data["posterior"]["amplitude"].dims == ("chain", "draw", "channel", "droplet")
    np.testing.assert_array_equal(data["posterior"]["amplitude"].to_numpy()[0], draws["amplitude"])
    assert data["posterior"]["radius_px"].attrs["units"] == "px"
    assert data["observed_data"]["obs"].dims == ("channel", "y", "x")
    np.testing.assert_array_equal(data["observed_data"]["obs"], channels)
    write_netcdf(data, tmp_path / "posterior.nc")
    assert arviz.from_netcdf(tmp_path / "posterior.nc")["posterior"]["radius_px"].attrs["units"] == "px"
    with pytest.raises(ValueError, match=r"observed has shape \(7,\)"):
        to_arviz(draws, observed=channels[0, 0])


def test_an_image_as_wide_as_there_are_droplets_is_an_image(arviz: ModuleType) -> None:
    data = to_arviz({"r": torch.ones(4, 7), "val": torch.ones(4, 6, 7)})
    assert data["posterior_predictive"]["val"].dims == ("chain", "draw", "y", "x")


def test_netcdf_comes_back_the_same(arviz: ModuleType, draws: dict[str, torch.Tensor], tmp_path: Path) -> None:
    path = tmp_path / "posterior.nc"
    write_netcdf(to_arviz(draws), path)
    write_netcdf(to_arviz(draws), path)
    back = arviz.from_netcdf(path)
    for group, name in (("posterior", "bg"), ("posterior", "r"), ("posterior_predictive", "val")):
        np.testing.assert_array_equal(back[group][name].to_numpy()[0], draws[name])
    assert [file.name for file in tmp_path.iterdir()] == ["posterior.nc"]


@pytest.mark.parametrize(
    ("wrong", "how", "said"),
    [
        ({}, {}, "at least one site"),
        ({"x": torch.zeros(5, 2), "y": torch.zeros(4, 2)}, {}, "the same chains and draws"),
        ({"x": torch.zeros(5, 2)}, {"num_chains": 3}, "has not 3 chains"),
    ],
)
def test_draws_that_do_not_go_together(arviz: ModuleType, wrong: Any, how: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        to_arviz(wrong, **how)


def test_without_the_extra_it_says_what_to_install() -> None:
    code = """
import sys
sys.modules["arviz"] = None
from pyrodrop.results.exports.arviz_data import to_arviz
try:
    to_arviz({})
except ModuleNotFoundError as error:
    print(error)
"""
    run = run_python("-c", code)
    assert run.stdout == 'ArviZ is not installed; pip install "pyrodrop[bayes]" brings it\n', run.stderr
