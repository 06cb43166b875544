"""The napari reader: its manifest is one that napari takes, and its layers hold what the folder holds."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
from fresh_python import run_python

import pyrodrop
from pyrodrop.results.storage.result_folder import ResultError
from pyrodrop.results.tables.droplet_table import droplet_table
from pyrodrop.workflows.napari_reader import read_layers, reader_of

MANIFEST = Path(pyrodrop.__file__).with_name("napari.yaml")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    made = {
        name: torch.from_numpy(generator.uniform(2, 8, (5, 4))) for name in ("x_px", "y_px", "radius_px", "amplitude")
    }
    table = droplet_table(made, (20, 30), 0.1, torch.tensor([1.0, 0.9, 0.2, 0.6]))
    table.to_csv(tmp_path / "droplets.csv", index=False)
    summary = {"image": "some/drops.tif", "width": 30, "height": 20, "pixel_size_um": 0.25}
    (tmp_path / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    for name in ("image", "residual"):
        tifffile.imwrite(tmp_path / f"{name}.tif", generator.normal(size=(20, 30)).astype(np.float32))
    return tmp_path


def test_a_folder_opens_as_image_residual_and_circles(folder: Path) -> None:
    reader = reader_of(str(folder))
    assert reader is not None
    image, residual, circles = reader(str(folder))
    assert [layer[2] for layer in (image, residual, circles)] == ["image", "image", "points"]
    np.testing.assert_array_equal(image[0], tifffile.imread(folder / "image.tif"))
    np.testing.assert_array_equal(residual[0], tifffile.imread(folder / "residual.tif"))
    table = pd.read_csv(folder / "droplets.csv")
    np.testing.assert_allclose(circles[0], table[["y_px", "x_px"]])
    np.testing.assert_allclose(circles[1]["size"], 2 * table["radius_px"])
    assert circles[1]["features"]["id"].tolist() == [0, 1, 2, 3]
    # A line that hid the rim would hide whether the circle lies on it.
    assert (circles[1]["border_width"] <= 0.15 * circles[1]["size"]).all()
    assert not circles[1]["border_width_is_relative"]
    assert all(layer[1]["scale"] == (0.25, 0.25) for layer in (image, residual, circles))


def test_several_channels_are_a_stack(folder: Path) -> None:
    stack = np.random.default_rng(1).normal(size=(2, 20, 30)).astype(np.float32)
    tifffile.imwrite(folder / "image.tif", stack, photometric="minisblack")
    np.testing.assert_array_equal(read_layers(str(folder))[0][0], stack)


def test_its_table_opens_the_same(folder: Path) -> None:
    table = str(folder / "droplets.csv")
    reader = reader_of([table, str(folder)])
    assert reader is not None
    layers = reader([table, str(folder)])
    assert [layer[1]["name"] for layer in layers[:3]] == [layer[1]["name"] for layer in layers[3:]]


def test_what_the_folder_lacks_is_left_out(folder: Path) -> None:
    for name in ("image.tif", "residual.tif"):
        (folder / name).unlink()
    assert [kind for _, _, kind in read_layers(str(folder))] == ["points"]


def test_other_paths_are_left_to_others(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert reader_of(str(tmp_path / "empty")) is None
    assert reader_of([str(folder), str(tmp_path / "empty")]) is None
    (folder / "droplets.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    assert reader_of(str(folder)) is None
    with pytest.raises(ResultError, match="lacks the column"):
        read_layers(str(folder))


VALIDATE = """
import sys
from npe2 import PluginManager, PluginManifest
manifest = PluginManifest.from_file(sys.argv[1])
manifest.validate_imports()
manager = PluginManager.instance()
manager.register(manifest)
for path in sys.argv[2:]:
    readers = list(manager.iter_compatible_readers(path))
    print(len(readers), *[reader.exec(kwargs={"path": [path], "stack": False}) is not None for reader in readers])
"""


def test_the_manifest_is_one_that_napari_takes(folder: Path) -> None:
    """By npe2, which reads manifests for napari; in a process of its own, for it warns of its own code."""
    paths = (MANIFEST, folder, folder / "droplets.csv", folder / "image.tif")
    run = run_python("-W", "ignore", "-c", VALIDATE, *map(str, paths))
    if "No module named 'npe2'" in run.stderr:
        pytest.skip("npe2 is not installed")
    assert run.returncode == 0, run.stderr
    assert run.stdout.split("\n")[:3] == ["1 True", "1 True", "0"]


def test_napari_itself_is_not_imported(folder: Path) -> None:
    code = "import sys; from pyrodrop.workflows.napari_reader import read_layers; read_layers(sys.argv[1]); "
    code += "sys.exit(any(name.split('.')[0] in ('napari', 'npe2', 'qtpy') for name in sys.modules))"
    assert run_python("-c", code, str(folder)).returncode == 0
