"""A batch that measures: every image as by itself, its count and sizes in one table."""

import json
import os
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd
import pytest
import tifffile
from worker_here import worker_here

import pyrodrop
from pyrodrop.images import write_png
from pyrodrop.workflows.batch.batch import batch
from pyrodrop.workflows.commands.measure import measure_image
from pyrodrop.workflows.measuring.progress import kept_on_disk
from pyrodrop.workflows.measuring.progress.kept_on_disk import KeptOnDisk
from pyrodrop.workflows.settings import SettingError

DROPLETS = (5, 8)
SETTINGS = {"channel": "saturation", "profile": "gaussian", "pixel_size_um": 0.5}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for number in DROPLETS:
        write_png(pyrodrop.simulate(number, (100, 140), seed=number)[0], folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def out(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("batch") / "out"
    before = dict(os.environ)
    told = batch([images], folder, workers=1, progress=False, **SETTINGS)
    assert dict(os.environ) == before  # Dask writes the workers' numbers of threads into it
    assert (told["job"], told["done"], told["failed"]) == ("measure", 2, 0)
    return folder


def test_measuring_is_what_a_batch_does_where_nothing_is_said(images: Path, out: Path) -> None:
    told = batch([images], out, progress=False, **SETTINGS)
    assert (told["done_before"], told["droplets"]) == (2, len(pd.read_csv(out / "droplets.csv")))


def test_each_result_is_that_of_a_single_run(images: Path, out: Path, tmp_path: Path) -> None:
    several = pd.read_csv(out / "droplets.csv")
    for number in DROPLETS:
        path = str(images / f"{number}.png")
        measure_image(path, tmp_path / str(number), progress=False, **SETTINGS)
        one = pd.read_csv(tmp_path / str(number) / "droplets.csv")
        rows = several[several["image"] == path].drop(columns="image").reset_index(drop=True)
        pd.testing.assert_frame_equal(rows, one, rtol=1e-4, check_dtype=False)


def test_the_summary_has_the_count_and_the_sizes_of_every_image(images: Path, out: Path) -> None:
    summary = pd.read_csv(out / "summary.csv").set_index("image")
    assert list(summary.index) == [str(images / f"{number}.png") for number in DROPLETS]
    for number in DROPLETS:
        row = summary.loc[str(images / f"{number}.png")]
        own = json.loads((out / row["folder"] / "summary.json").read_text())
        assert row["count_q05"] <= number <= row["count_q95"]
        assert (row["count_mean"], row["sizes_unit"]) == (pytest.approx(own["count"]["mean"]), "um")
        for name in ("dn50", "dv50", "d_3_2"):
            assert row[f"sizes_{name}_mean"] == pytest.approx(own["sizes"][name]["mean"])


@pytest.mark.slow
def test_images_larger_than_memory_are_measured_in_tiles(tmp_path: Path) -> None:
    folder = tmp_path / "slides"
    folder.mkdir()
    for number in (1, 2):
        image, _ = pyrodrop.simulate(12, (150, 200), seed=number, kind="gray", radius_px=(4.0, 7.0), noise=0.02)
        tifffile.imwrite(folder / f"{number}.tif", (65535 * image.pixels[..., 0].clamp(0, 1)).numpy().astype("uint16"))
    # In a worker's process the tiles have one core.
    with worker_here(), patch("pyrodrop.workflows.commands.measure._cores", lambda: 1):
        told = batch([folder], tmp_path / "out", progress=False, tiles=120, profile="gaussian")
    assert (told["done"], told["failed"]) == (2, 0)
    again = batch([folder], tmp_path / "out", progress=False, tiles=120, profile="gaussian")
    assert again["done_before"] == 2
    several = pd.read_csv(tmp_path / "out" / "droplets.csv")
    how = {"tiles": 120, "tile_workers": 1, "profile": "gaussian", "progress": False}
    said = measure_image(str(folder / "1.tif"), str(tmp_path / "one"), **how)
    assert said["tiles"]["number"] == 4
    rows = several[several["image"] == str(folder / "1.tif")].drop(columns="image").reset_index(drop=True)
    pd.testing.assert_frame_equal(rows, pd.read_csv(tmp_path / "one" / "droplets.csv"), rtol=1e-4, check_dtype=False)


def test_tiles_that_hold_no_droplets_are_refused_before_anything_is_started(images: Path, tmp_path: Path) -> None:
    for settings in ({"tiles": 5}, {"tiles": 128, "scale": 0.5}, {"tiles": 128, "border": "drop"}):
        with pytest.raises(SettingError, match="tiles"):
            batch([images], tmp_path / "out", progress=False, **settings)
    assert list(tmp_path.rglob("*.csv")) == []


def test_an_image_at_which_a_batch_was_stopped_goes_on_where_it_was(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = images / f"{DROPLETS[0]}.png"
    worked_out: list[str] = []
    last = 0
    keep = KeptOnDisk.keep

    def counted(self: KeptOnDisk, digest: str, arrays: Any) -> None:
        keep(self, digest, arrays)
        worked_out.append(digest)
        if len(worked_out) == last:
            raise KeyboardInterrupt

    monkeypatch.setattr(kept_on_disk, "_SECONDS", 0.0)
    monkeypatch.setattr(KeptOnDisk, "keep", counted)
    with worker_here():
        batch([image], tmp_path / "straight", progress=False, **SETTINGS)
        in_all, last = len(worked_out), len(worked_out) + 1
        assert in_all > 1
        with pytest.raises(KeyboardInterrupt, match="with 0 of 1 images done"):
            batch([image], tmp_path / "stopped", progress=False, **SETTINGS)
        assert len(list((tmp_path / "stopped").glob(".measuring/*/*.pt"))) == 1
        batch([image], tmp_path / "stopped", progress=False, **SETTINGS)
    assert worked_out == 2 * worked_out[:in_all]
    tables = [(tmp_path / name / "droplets.csv").read_bytes() for name in ("straight", "stopped")]
    assert tables[0] == tables[1]
    assert not (tmp_path / "stopped" / ".measuring").exists()
