"""The sentences for a paper: they say what was done and found, with the numbers of the summary, and nothing else."""

from pathlib import Path
from typing import Any

import pytest

from pyrodrop.rendering.profiles.gaussian import height as gaussian
from pyrodrop.results.page.method_text import OF_A_FIT, OF_A_MEASUREMENT, method_text, radius_meaning
from pyrodrop.results.storage.result_folder import read_results

FIT = {"count": None, "sizes": None, "learning_rate": 0.01, "steps": 20_000, "noise": 0.05}


def said(make_results: Any, folder: Path, **summary: Any) -> str:
    return method_text(read_results(make_results(folder, **summary)))


def test_a_measurement(make_results: Any, tmp_path: Path) -> None:
    text = said(
        make_results,
        tmp_path,
        profile="disc",
        pixel_size_um=0.5,
        n=170,
        count={"mean": 167.42, "q05": 164, "q95": 171},
        sizes={"dn50": {"mean": 5.5313, "q05": 5.264, "q95": 5.831}},
    )
    assert "the gray channel of drops.tif (90 × 60 px, 0.5 µm per px)" in text
    assert "pyrodrop 0.1.0" in text
    assert "discs with a soft edge" in text
    assert "167.4 droplets (164 to 171), with a median diameter by number of 5.53 µm (5.26 to 5.83);" in text
    assert "Sauter" not in text  # nobody has measured it
    assert "chi-square" not in text
    assert "tiles" not in text
    assert OF_A_MEASUREMENT in text
    assert "neural network that has learnt from simulated images proposed circles" in text
    assert "hot" not in text


def test_pixels_that_were_filled_are_told(make_results: Any, tmp_path: Path) -> None:
    assert "25 hot or dead pixels were filled" in said(make_results, tmp_path / "many", hot_pixels=25)
    assert "One hot or dead pixel was filled" in said(make_results, tmp_path / "one", hot_pixels=1)
    assert "filled" not in said(make_results, tmp_path / "none", hot_pixels=0)


def test_what_was_looked_at_and_what_counts_is_told(make_results: Any, tmp_path: Path) -> None:
    rules = {"radius_px": [4.0, 20.0], "polarity": "dark", "border": "drop"}
    text = said(make_results, tmp_path / "all", pixel_size_um=0.5, looked_at={"share": 0.8275}, rules=rules)
    assert "Only 82.8 % of the image was looked at; the rest was taken for missing." in text
    assert "Only droplets with a radius from 2.00 to 10.0 µm were counted" in text
    assert "Only droplets that are darker than what is around them were counted." in text
    assert "Droplets cut by the edge of what was looked at were left out" in text
    one = {"radius_px": [None, 20.0], "polarity": "both", "border": "keep"}
    text = said(make_results, tmp_path / "one", rules=one)
    assert "Only droplets with a radius of at most 20.0 px were counted" in text
    assert "darker" not in text
    assert "looked at" not in text


def test_a_misfit_and_tiles_are_told(make_results: Any, tmp_path: Path) -> None:
    text = said(make_results, tmp_path, reduced_chi_square=60.0891, tiles={"number": 12}, channel="all")
    assert "reduced chi-square is 60.1, so the model does not describe all of the image" in text
    assert "in 12 overlapping tiles" in text
    assert "all channels of drops.tif" in text


def test_a_fit(make_results: Any, tmp_path: Path) -> None:
    text = said(make_results, tmp_path, n=12, **FIT)
    assert text.startswith("12 Gaussian spots on a uniform background were fitted to the gray channel of drops.tif")
    assert "(20000 iterations of Adam, learning rate 0.01, standard deviation of the noise 0.05)" in text
    assert "How sure their number is, the fit does not say." in text
    assert OF_A_FIT in text


@pytest.mark.parametrize("summary", [{"count": None}, {"count": None, "profile": ["odd"]}])
def test_where_too_little_is_known_nothing_is_said(make_results: Any, tmp_path: Path, summary: Any) -> None:
    assert said(make_results, tmp_path, **summary) == ""
    assert radius_meaning(summary) == ""


@pytest.mark.parametrize("odd", [{"tiles": {}}, {"tiles": 3}, {"sizes": [1]}, {"reduced_chi_square": [1.0, 70.0]}])
def test_odd_summaries_do_no_harm(make_results: Any, tmp_path: Path, odd: Any) -> None:
    assert "droplets" in said(make_results, tmp_path, **odd)


def test_every_profile_has_its_meaning_and_that_of_a_gaussian_is_true() -> None:
    import torch

    one = torch.ones(1, dtype=torch.float64)
    assert f"{100 * gaussian(one, one).item():.0f} %" in OF_A_FIT


def test_what_was_corrected_by_hand_is_told(make_results: Any, tmp_path: Path) -> None:
    text = said(make_results, tmp_path / "some", edits={"remove": 3, "add": 1, "list": []})
    assert "By hand, a person removed what was no droplet 3 times and added a droplet that was missed once;" in text
    assert "By hand" not in said(make_results, tmp_path / "none")
