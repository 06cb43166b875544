"""A large image in tiles: the answer of the whole, nothing twice or lost, resumed where it was killed."""

import json
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

import pyrodrop
from pyrodrop.cli import main
from pyrodrop.images import ImageError
from pyrodrop.models.finder_population import Population
from pyrodrop.models.measured import image_scales
from pyrodrop.models.recognise import Known
from pyrodrop.workflows.settings import SettingError
from pyrodrop.workflows.tiles import measure_tiles
from pyrodrop.workflows.tiles_grid import Box, Tile, tiles_of
from pyrodrop.workflows.tiles_plan import Plan
from pyrodrop.workflows.tiles_plane import open_plane
from pyrodrop.workflows.tiles_seams import Seen, reconciled
from pyrodrop.workflows.tiles_survey import survey

SIZE, TILE_PX = (400, 500), 250
SEAMS = (200, 250)  # row and column at which the tiles of TILE_PX of an image of SIZE meet


def same_droplets(one: Path, other: Path) -> None:
    """The same table, but for what BLAS rounds differently on another number of threads: far less than a deviation."""
    first, second = (pd.read_csv(folder / "droplets.csv", keep_default_na=False) for folder in (one, other))
    pd.testing.assert_frame_equal(first, second, rtol=1e-4, atol=1e-6)


def droplets_on_seams(seed: int) -> tuple[Tensor, Tensor]:
    """An image of SIZE with droplets on its seams, one on the corner where all four tiles meet, and others elsewhere.

    Returns it and its truth, rows of x, y, radius and amplitude.
    """
    generator = np.random.default_rng(seed)
    down, along = SEAMS
    truth = [(along - 0.5, down - 0.5, 8.0)]
    truth += [
        (along - 0.5 + generator.normal(0, 0.3), y, generator.uniform(4, 9)) for y in (40, 90, 140, 260, 310, 360)
    ]
    truth += [
        (x, down - 0.5 + generator.normal(0, 0.3), generator.uniform(4, 9)) for x in (60, 120, 190, 310, 380, 440)
    ]
    while len(truth) < 40:
        x, y, r = generator.uniform(15, SIZE[1] - 15), generator.uniform(15, SIZE[0] - 15), generator.uniform(4, 9)
        if all(np.hypot(x - u, y - v) > 2 * (r + s) for u, v, s in truth):
            truth.append((x, y, r))
    x, y, r = torch.tensor(truth, dtype=torch.float32).T.contiguous()
    height = torch.tensor(generator.uniform(0.25, 0.5, len(truth)), dtype=torch.float32)
    image = pyrodrop.render(x, y, r, height, torch.tensor(0.15), SIZE)
    image = image + 0.01 * torch.randn(SIZE, generator=torch.Generator().manual_seed(seed))
    return image, torch.stack([x, y, r, height], 1)


def likely(folder: Path) -> pd.DataFrame:
    table = pd.read_csv(folder / "droplets.csv")
    return table[table["presence"] >= 0.5]


def matched(some: NDArray[Any], others: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Distance from each to the nearest of the others, and which that is."""
    distance, nearest = cKDTree(others).query(some)
    return distance, nearest


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_tiles_say_what_the_whole_image_says(seed: int, tmp_path: Path) -> None:
    image, truth = droplets_on_seams(seed)
    one = pyrodrop.measure(image, profile="gaussian")
    summary = measure_tiles(image, tmp_path, tile_px=TILE_PX, profile="gaussian", progress=False)
    whole, tiled = one.table[one.table["presence"] >= 0.5], likely(tmp_path)
    assert summary["tiles"]["number"] == 4
    assert summary["tiles"]["seen_twice"] >= 13  # those on seams
    assert len(tiled) == len(whole) == len(truth) == summary["n_droplets"]
    distance, nearest = matched(whole[["x_px", "y_px"]].to_numpy(), tiled[["x_px", "y_px"]].to_numpy())
    assert sorted(nearest) == list(range(len(tiled)))
    assert distance.max() < 0.05
    np.testing.assert_allclose(tiled["radius_px"].to_numpy()[nearest], whole["radius_px"], rtol=0.01)
    np.testing.assert_allclose(tiled["amplitude"].to_numpy()[nearest], whole["amplitude"], rtol=0.02)
    np.testing.assert_allclose(tiled["x_px_sd"].to_numpy()[nearest], whole["x_px_sd"], rtol=0.25)
    assert summary["count"]["mean"] == pytest.approx(one.count.mean, abs=0.1)
    for name in ("dn50", "d_1_0", "d_3_2"):
        assert summary["sizes"][name]["mean"] == pytest.approx(one.sizes[name].mean, rel=0.01)
    assert list(tiled.columns) == list(one.table.columns)


def test_ids_run_from_top_to_bottom_over_all_tiles(tmp_path: Path) -> None:
    image, _ = droplets_on_seams(5)
    measure_tiles(image, tmp_path, tile_px=TILE_PX, profile="gaussian", progress=False)
    table = pd.read_csv(tmp_path / "droplets.csv")
    assert list(table["id"]) == list(range(len(table)))
    assert (np.diff(table["y_px"]) >= 0).all()
    assert {"overlay.png", "count.png", "summary.json"} <= {path.name for path in tmp_path.iterdir()}


def test_an_empty_image_has_no_droplets_in_any_tile(tmp_path: Path) -> None:
    noise = 0.3 + 0.01 * torch.randn(200, 260, generator=torch.Generator().manual_seed(0))
    summary = measure_tiles(noise, tmp_path, tile_px=130, profile="gaussian", progress=False)
    assert summary["n_droplets"] == 0


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_every_droplet_is_told_once_however_tiles_differ_about_its_centre(seed: int) -> None:
    """Tiles that see the same droplets, each with an error of its own: exactly one estimate of each is kept."""
    generator = np.random.default_rng(seed)
    size, tile_px, halo, error = (300, 300), 100, 30, 0.3
    tiles = tiles_of(size, tile_px)
    # On a jittered grid, so that no two are as near as two estimates of one may be; every other on a seam.
    at = np.arange(12, 300, 25.0)
    x, y = (axis.ravel() + generator.uniform(-4, 4, 144) for axis in np.meshgrid(at, at))
    on_seam = generator.random(144) < 0.5
    x = np.where(on_seam, np.round(x / 100) * 100 - 0.5 + generator.normal(0, 0.2, 144), x)
    x = np.where((x < 5) | (x > 295), 12, x)
    apart = np.hypot(x[:, None] - x, y[:, None] - y) + 1e3 * np.eye(144)
    alone = apart.min(1) > 12
    x, y = x[alone], y[alone]
    rows = []
    for number, tile in enumerate(tiles):
        u, v = x + generator.normal(0, error, len(x)), y + generator.normal(0, error, len(y))
        depth, own = tile.depth(u, v), tile.owns(u, v)
        for k in np.flatnonzero(own | (depth > -halo / 2)):
            rows.append((u[k], v[k], 6.0, error, number, depth[k], own[k], k))
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    kept = reconciled(Seen(*columns[:7]))
    assert sorted(columns[7][kept]) == list(range(len(x)))


def test_a_droplet_on_the_line_that_each_tile_puts_beyond_itself_is_kept_once() -> None:
    left, right = tiles_of((50, 200), 100)
    both = [(left, 99.7), (right, 99.3)]
    assert not any(tile.owns(np.array([x]), np.array([20.0]))[0] for tile, x in both)
    seen = Seen(
        np.array([x for _, x in both]),
        np.array([20.0, 20.1]),
        np.array([5.0, 5.0]),
        np.array([0.1, 0.1]),
        np.array([0, 1]),
        np.array([tile.depth(np.array([x]), np.array([20.0]))[0] for tile, x in both]),
        np.array([False, False]),
    )
    assert reconciled(seen).sum() == 1


def test_neighbours_on_either_side_of_a_seam_stay_two() -> None:
    """Two droplets that touch, each seen by both tiles."""
    x = np.array([96.0, 103.0, 96.1, 103.1])
    left, right = tiles_of((50, 200), 100)
    tile = np.array([0, 0, 1, 1])
    y = np.full(4, 20.0)
    depth = np.where(tile == 0, left.depth(x, y), right.depth(x, y))
    own = np.where(tile == 0, left.owns(x, y), right.owns(x, y))
    kept = reconciled(Seen(x, y, np.full(4, 4.0), np.full(4, 0.1), tile, depth, own))
    assert sorted(np.flatnonzero(kept)) == [0, 3]


@given(st.integers(8, 3_000), st.integers(8, 3_000), st.integers(64, 1_500))
def test_tiles_are_the_image_once_and_every_centre_is_of_one(height: int, width: int, tile_px: int) -> None:
    tiles = tiles_of((height, width), tile_px)
    assert sum(tile.box.size[0] * tile.box.size[1] for tile in tiles) == height * width
    assert max(max(tile.box.size) for tile in tiles) <= tile_px
    generator = np.random.default_rng(0)
    edges = np.array([tile.box.left - 0.5 for tile in tiles])
    x = np.concatenate([generator.uniform(-3, width + 3, 50), edges[:50]])
    y = generator.uniform(-3, height + 3, len(x))
    owners = np.stack([tile.owns(x, y) for tile in tiles])
    assert (owners.sum(0) == 1).all()
    for tile, owned in zip(tiles, owners, strict=True):
        assert (tile.depth(x, y)[owned] >= 0).all()


def test_a_plan_survives_the_disk() -> None:
    scales = image_scales(np.random.default_rng(0).random((1, 40, 50)))
    known = Known(scales, Population(np.arange(6.0).reshape(3, 2), np.array([0.5, 2.0])))
    plan = Plan("disc", {"disc": -3.25}, known, 48, 255.0)
    again = Plan.of_dict(json.loads(json.dumps(plan.as_dict())))
    assert again.as_dict() == plan.as_dict()
    np.testing.assert_array_equal(again.known.population.features, known.population.features)


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    """Killed with SIGKILL after its first tile: what was done stays, and all ends as if nothing had happened."""
    image, _ = droplets_on_seams(3)
    path, out, straight = tmp_path / "large.tif", tmp_path / "killed", tmp_path / "straight"
    tifffile.imwrite(path, (image.clamp(0, 1) * 65535).round().numpy().astype(np.uint16))
    code = (
        "import sys; from pyrodrop.workflows.tiles import measure_tiles\n"
        f"measure_tiles(sys.argv[1], sys.argv[2], tile_px={TILE_PX}, profile='gaussian', progress=False)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(path), str(out)])
    while process.poll() is None and not list((out / "tiles").glob("[0-9]*.npz")):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = {part.name: part.stat().st_mtime_ns for part in (out / "tiles").glob("[0-9]*.npz")}
    assert 1 <= len(before) < 4
    assert not (out / "summary.json").exists()
    resumed = measure_tiles(path, out, tile_px=TILE_PX, profile="gaussian", progress=False)
    assert resumed["tiles"]["done_before"] == len(before)
    assert all((out / "tiles" / name).stat().st_mtime_ns == when for name, when in before.items())
    measure_tiles(path, straight, tile_px=TILE_PX, profile="gaussian", progress=False)
    same_droplets(out, straight)
    # A damaged part is done again; other settings do all again.
    shutil.copy(path, out / "tiles" / "0001-0001.npz")
    assert measure_tiles(path, out, tile_px=TILE_PX, profile="gaussian", progress=False)["tiles"]["done_before"] == 3
    same_droplets(out, straight)
    assert measure_tiles(path, out, tile_px=300, profile="gaussian", progress=False)["tiles"]["done_before"] == 0


def test_killed_whenever_a_run_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    """SIGKILL at moments that hang on nothing the run does: while it imports, plans, measures or writes."""
    image, _ = droplets_on_seams(6)
    path, out, straight = tmp_path / "large.tif", tmp_path / "killed", tmp_path / "straight"
    tifffile.imwrite(path, (image.clamp(0, 1) * 65535).round().numpy().astype(np.uint16))
    code = (
        "import sys; from pyrodrop.workflows.tiles import measure_tiles\n"
        f"measure_tiles(sys.argv[1], sys.argv[2], tile_px={TILE_PX}, profile='gaussian', progress=False)"
    )
    for seconds in np.random.default_rng(6).uniform(1, 8, 4):
        process = subprocess.Popen([sys.executable, "-c", code, str(path), str(out)])
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        process.kill()
        process.wait()
    measure_tiles(path, out, tile_px=TILE_PX, profile="gaussian", progress=False)
    measure_tiles(path, straight, tile_px=TILE_PX, profile="gaussian", progress=False)
    same_droplets(out, straight)


def test_two_workers_say_what_one_says(tmp_path: Path) -> None:
    image, _ = droplets_on_seams(4)
    path = tmp_path / "large.tif"
    tifffile.imwrite(path, (image.clamp(0, 1) * 65535).round().numpy().astype(np.uint16))
    for name, workers in (("one", 1), ("two", 2)):
        measure_tiles(path, tmp_path / name, tile_px=TILE_PX, profile="gaussian", workers=workers, progress=False)
    same_droplets(tmp_path / "one", tmp_path / "two")


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"compression": "zlib", "predictor": True, "tile": (64, 48)},
        {"compression": "lzw", "rowsperstrip": 37},
        {"tile": (32, 32)},
        {"rowsperstrip": 11},
    ],
)
@pytest.mark.parametrize("samples", [1, 3])
def test_any_box_of_a_tiff_is_read_as_the_whole_file_is(how: dict[str, Any], samples: int, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 60_000, (123, 201, samples)[: 2 + (samples > 1)], dtype=np.uint16)
    path = tmp_path / "stored.tif"
    tifffile.imwrite(path, pixels, photometric="rgb" if samples > 1 else "minisblack", **how)
    plane = open_plane(path)
    assert plane.size == (123, 201)
    for box in (Box(0, 123, 0, 201), Box(17, 90, 33, 150), Box(122, 123, 200, 201), Box(60, 70, 47, 49)):
        expected = pixels[box.top : box.bottom, box.left : box.right].reshape(*box.size, samples)
        np.testing.assert_array_equal(plane.read(box), expected)


def test_levels_are_those_of_read_image(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 4_000, (40, 60), dtype=np.uint16)
    for photometric in ("minisblack", "miniswhite"):
        tifffile.imwrite(tmp_path / "dim.tif", pixels, photometric=photometric)
        plane = open_plane(tmp_path / "dim.tif")
        seen = survey(plane, tiles_of(plane.size, 32))
        whole = pyrodrop.read_image(tmp_path / "dim.tif", white="brightest").channel("gray")
        torch.testing.assert_close(plane.channel(Box(0, 40, 0, 60), seen.white, "gray"), whole, atol=1e-6, rtol=0)
        np.testing.assert_allclose(seen.small, whole.numpy(), atol=1e-6)


def test_a_page_of_a_stack_is_chosen_by_its_frame(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (3, 40, 60), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "stack.tif", pixels, photometric="minisblack")
    np.testing.assert_array_equal(
        open_plane(tmp_path / "stack.tif", 2).read(Box(5, 9, 7, 50))[..., 0], pixels[2, 5:9, 7:50]
    )
    np.testing.assert_array_equal(open_plane(pixels, 1).read(Box(5, 9, 7, 50))[..., 0], pixels[1, 5:9, 7:50])
    with pytest.raises(ImageError, match="3 pictures"):
        open_plane(tmp_path / "stack.tif")


def test_a_zarr_is_read_in_parts(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    pixels = np.random.default_rng(0).integers(0, 255, (90, 70), dtype=np.uint8)
    for path in ("plain.zarr", "ome.zarr/0"):
        array = zarr.create_array(str(tmp_path / path), shape=pixels.shape, chunks=(32, 32), dtype="uint8")
        array[:] = pixels
    zarr.open_group(str(tmp_path / "ome.zarr"), mode="a")
    for path in ("plain.zarr", "ome.zarr", "ome.zarr/0"):
        np.testing.assert_array_equal(open_plane(tmp_path / path).read(Box(5, 80, 7, 60))[..., 0], pixels[5:80, 7:60])


def test_wrong_usage_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    noise = (np.random.default_rng(0).random((64, 64)) * 255).astype(np.uint8)
    tifffile.imwrite(tmp_path / "small.tif", noise)
    (tmp_path / "text.txt").write_text("no image")
    out = ["--out", str(tmp_path / "out"), "--quiet"]
    cases = [
        (["measure", str(tmp_path / "small.tif"), "--workers", "2", *out], "--tiles"),
        (["measure", str(tmp_path / "small.tif"), "--tiles", "--workers", "0", *out], "workers"),
        (["measure", "--tiles", *out], "IMAGE"),
        (["measure", str(tmp_path / "small.tif"), "--tiles", "10", *out], "at least 64"),
        (["measure", str(tmp_path / "small.tif"), "--tiles", "--scale", "0.5", *out], "--scale"),
        (["measure", str(tmp_path / "small.tif"), "--tiles", "--channel", "hue", *out], "hue"),
        (["measure", str(tmp_path / "text.txt"), "--tiles", *out], "no TIFF"),
        (["measure", str(tmp_path / "missing.tif"), "--tiles", *out], "cannot be read"),
        (["measure", str(tmp_path), "--tiles", *out], "Zarr"),
    ]
    for arguments, expected in cases:
        assert main(arguments) == 2, arguments
        told = capsys.readouterr().err
        assert expected in told
        assert len(told.splitlines()) == 1
    with pytest.raises(SettingError, match="workers"):
        measure_tiles(noise, tmp_path / "out", workers=2)
    for bad, reason in ((noise.astype(np.float32) * np.nan, "NaN"), (noise.astype(np.float32) - 200, "black")):
        with pytest.raises(ImageError, match=reason):
            measure_tiles(bad, tmp_path / "out", progress=False)


def test_a_tile_knows_its_depth() -> None:
    tile = Tile(0, 1, Box(0, 100, 100, 200), (300, 300))
    x, y = np.array([99.5, 150.0, 199.5, 150.0]), np.array([50.0, -5.0, 50.0, 99.0])
    np.testing.assert_allclose(tile.depth(x, y), [0.0, 49.5, 0.0, 0.5], atol=1e-12)
    assert list(tile.owns(x, y)) == [True, True, False, True]
