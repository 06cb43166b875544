"""Samples compared: what a person gets, and what is refused."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from workflows.samples.sampled_folders import write_results, write_sample

import pyrodrop
from pyrodrop.results.statistics.image_statistics import NUMBER, SIZES
from pyrodrop.workflows.commands.compare import compare_folders
from pyrodrop.workflows.samples import pooling
from pyrodrop.workflows.samples.comparison import Comparison
from pyrodrop.workflows.samples.sampled_images import of_folder


@pytest.fixture(autouse=True, scope="module")
def brief() -> Iterator[None]:
    """A run too short for a result, and long enough for what is asked here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(pooling._HOW, "num_warmup", 50)
        patch.setitem(pooling._HOW, "num_samples", 30)
        yield


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    write_sample(folder / "control", 10, 3, seed=1)
    write_sample(folder / "treated", 15, 2, seed=2)
    return folder


@pytest.fixture(scope="module")
def compared(folders: Path) -> Comparison:
    return pyrodrop.compare({"control": [folders / "control"], "treated": [folders / "treated"]})


@pytest.fixture(scope="module")
def written(folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("compared")
    names = ["control", "control", "control", "treated"]
    images = [folders / "control" / f"image{number}" for number in range(3)]
    told = compare_folders([*images, folders / "treated"], out, names=names)
    assert told["results"] == str(out)
    return out


def test_the_samples_have_a_row_a_statistic(compared: Comparison) -> None:
    table = compared.samples
    assert list(table["statistic"]) == 2 * [NUMBER, *SIZES]
    assert (table["value_q05"] < table["value"]).all()
    assert (table["value"] < table["value_q95"]).all()
    assert set(table["unit"]) == {"1/mm2", "um", ""}
    of_control = table[table["sample"] == "control"].set_index("statistic")
    assert of_control.loc["dn50", "value"] == pytest.approx(5.0, rel=0.1)
    assert of_control.loc[NUMBER, "value"] == pytest.approx(40 / 0.005, rel=0.25)


def test_the_larger_droplets_are_larger_by_their_factor(compared: Comparison) -> None:
    table = compared.differences.set_index("statistic")
    assert list(table["sample"].unique()) == ["treated"]
    for name in ("d_1_0", "dn50", "d_3_2"):
        ratio, low, high = table.loc[name, ["ratio", "ratio_q05", "ratio_q95"]].to_numpy(float)
        assert ratio == pytest.approx(1.5, rel=0.1)
        assert low < 1.5 < high
        assert float(table["probability_larger"][name]) > 0.9
    assert 0.1 < float(table["probability_larger"]["cv"]) < 0.99


def test_shares_of_a_distribution_add_up_to_one(compared: Comparison) -> None:
    binned = compared.distributions
    for name, share in binned.pooled.items():
        assert share.sum() == pytest.approx(1)
        assert all(own.sum() == pytest.approx(1) for _, own in binned.images[name])


def test_two_images_are_said_to_be_few(compared: Comparison) -> None:
    (warning,) = compared.warnings
    assert "treated has 2 images" in warning
    assert "prior" in warning


def test_the_words_say_what_the_table_says(compared: Comparison) -> None:
    assert "Sample control" in compared.words
    assert "median diameter by number of treated was 1.5" in compared.words
    assert "the probability that it is larger is" in compared.words
    # Of the treated, two images; of the control, three.
    assert compared.words.count("too few to tell how far they differ") == 1


def test_a_folder_is_written_whole(written: Path) -> None:
    names = {path.name for path in written.iterdir()}
    assert names == {
        *(f"{name}.csv" for name in ("samples", "differences", "images", "distributions")),
        *("words.txt", "distributions.png", "ratios.png", "summary.json", "manifest.json"),
    }
    samples = json.loads((written / "summary.json").read_text())["samples"]
    assert {name: said["images"] for name, said in samples.items()} == {"control": 3, "treated": 2}
    shares = pd.read_csv(written / "distributions.csv", keep_default_na=False)
    assert shares.groupby(["sample", "image"])["share"].sum().to_numpy() == pytest.approx(1, abs=1e-5)


def test_folders_of_one_name_are_one_sample(written: Path, compared: Comparison) -> None:
    table = pd.read_csv(written / "samples.csv")
    assert table["value"].to_numpy() == pytest.approx(compared.samples["value"].to_numpy(), rel=1e-4)


def test_what_is_refused(folders: Path, tmp_path: Path) -> None:
    control, image = folders / "control", folders / "control" / "image0"
    in_px = write_results(tmp_path / "in_px", np.full(9, 8.0), pixel_size_um=None)
    fit = write_results(tmp_path / "fit", np.full(9, 8.0))
    said = json.loads((fit / "summary.json").read_text())
    (fit / "summary.json").write_text(json.dumps({k: v for k, v in said.items() if k != "profile"}))
    refused: tuple[tuple[Any, str], ...] = (
        ({}, "no mapping"),
        ([control], "no mapping"),
        ({"a": control}, "a list of measurements"),
        ({"a": []}, "has no image"),
        ({"a": [3]}, "holds a int"),
        ({"a": [control], "b": [control]}, "in sample a already"),
        ({"a": [image], "b": [in_px]}, "size of a pixel is not known of in_px"),
        ({"a": [fit]}, "holds no measurement"),
        ({"a": [tmp_path / "nowhere"]}, "is not a folder"),
    )
    for samples, reason in refused:
        with pytest.raises(pyrodrop.SettingError, match=reason):
            pyrodrop.compare(samples)
    of_folders: tuple[tuple[list[Path], list[str] | None, str], ...] = (
        ([control], ["a", "b"], "names are 2 for 1 folders"),
        ([control, image], None, "is in sample control already"),
        ([control, tmp_path], None, "out"),
    )
    for given, names, reason in of_folders:
        with pytest.raises(pyrodrop.SettingError, match=reason):
            compare_folders(given, tmp_path, names=names)


def test_a_table_that_was_edited_is_taken_as_it_is(tmp_path: Path) -> None:
    folder = write_results(tmp_path / "image", np.full(20, 8.0))
    table = pd.read_csv(folder / "droplets.csv")
    table.head(12).to_csv(folder / "droplets.csv", index=False)
    image = of_folder(folder)
    assert (image.altered, image.statistics.number) == (True, 12)


def test_droplets_that_may_not_be_cut_have_less_room(tmp_path: Path) -> None:
    rules: dict[str, Any] = {"border": "drop"}
    kept = of_folder(write_results(tmp_path / "kept", np.full(20, 10.0)))
    dropped = of_folder(write_results(tmp_path / "dropped", np.full(20, 10.0), rules=rules))
    assert dropped.statistics.area / kept.statistics.area == pytest.approx(190 * 90 / (200 * 100), rel=1e-3)


def test_presence_that_is_unsure_makes_the_number_unsure(tmp_path: Path) -> None:
    sure, unsure = (
        of_folder(write_results(tmp_path / str(p), np.linspace(6, 9, 40), presence=p, count=None)) for p in (1.0, 0.5)
    )
    assert sure.statistics.number_error == pytest.approx(0, abs=1e-12)
    assert unsure.statistics.number_error > 0.1


def test_pairs_are_each_with_all_before_it(compared: Comparison) -> None:
    pooled = dict(compared.pooled) | {"third": replace(compared.pooled["control"], name="third")}
    three = Comparison(dict(compared.images_of) | {"third": compared.images_of["control"]}, pooled, ())
    pairs = three.differences[["compared_with", "sample"]].drop_duplicates().to_numpy().tolist()
    assert pairs == [list(pair) for pair in itertools.combinations(pooled, 2)]
    assert set(three.figures()) == {"distributions", "ratios"}
