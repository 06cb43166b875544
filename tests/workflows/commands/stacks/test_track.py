"""``pyrodrop track``: a stack in, a folder out, whatever is wrong in one line, and what was done is not done again."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from images.reading.nikon_files import nd2_file

import pyrodrop
from pyrodrop.cli import main
from pyrodrop.images.reading.time_step import time_step_s
from pyrodrop.workflows.tracking.stack import stack_of_path

FILES = {
    *("tracks.csv", "events.csv", "rates.csv", "population.csv", "summary.json", "manifest.json", "report.html"),
    *("population.png", "rates.png", "tracks.png", "trackmate.xml", "napari-tracks.csv", "process.nc", "frames"),
    *("laptrack-tracks.csv", "laptrack-splits.csv", "laptrack-merges.csv"),
}


def frames(number: int = 4) -> np.ndarray:
    """Four droplets that drift and grow, (T, 48, 56), 16 bits."""
    y, x = np.mgrid[:48, :56]
    stack = []
    for t in range(number):
        shown = 0.1 + 0.01 * np.random.default_rng(t).standard_normal((48, 56))
        for k, (at, down) in enumerate([(12, 12), (40, 14), (16, 36), (42, 36)]):
            r = 3 + k / 4 + 0.06 * t
            shown += 0.6 * np.exp(-((x - at - 0.5 * t) ** 2 + (y - down) ** 2) / (2 * r**2))
        stack.append(shown)
    return np.uint16(30_000 * np.array(stack))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames as files, one of which cannot be read."""
    where = tmp_path_factory.mktemp("frames")
    for number, frame in enumerate(frames(5)):
        tifffile.imwrite(where / f"frame{number + 8}.tif", frame)  # 8, 9, 10, 11, 12: not in the order of letters
    whole = (where / "frame10.tif").read_bytes()
    (where / "frame10.tif").write_bytes(whole[: len(whole) // 3])
    return where


def test_a_folder_of_frames_is_followed_and_a_run_goes_on(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    argv = [
        "track",
        str(folder),
        "--profile",
        "gaussian",
        "--interval",
        "3",
        "--out",
        str(out),
        "--json",
        "--device",
        "cpu",
    ]
    assert main(argv) == 1  # a frame could not be read, and all else was done
    shown = capsys.readouterr()
    said = json.loads(shown.out)
    assert list(said["failed"]) == ["frame10.tif"]
    assert "frame10.tif is missing" in shown.err
    assert {path.name for path in out.iterdir()} == FILES
    table = pd.read_csv(out / "tracks.csv")
    assert table["track"].nunique() == said["n_tracks"] == 4
    assert table.groupby("track")["frame"].apply(list).tolist() == [[0, 1, 2, 3, 4]] * 4
    assert set(table.loc[table["frame"] == 2, "detected"]) == {0}
    assert set(pd.read_csv(out / "rates.csv")["detections"]) == {4}
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["interval_s"], summary["frames"], list(summary["unreadable_frames"])) == (3.0, 5, ["2"])
    page = (out / "report.html").read_text()
    assert 'id="frame"' in page
    assert "frame10.tif" in page

    # what is left of a run that was ended: the frames that it had measured
    first = (out / "tracks.csv").read_bytes()
    (out / "frames" / "frame-000004.json").unlink()
    times = {path.name: path.stat().st_mtime_ns for path in (out / "frames").glob("frame-*.csv")}
    assert main(argv) == 1
    assert (out / "tracks.csv").read_bytes() == first
    now = {path.name: path.stat().st_mtime_ns for path in (out / "frames").glob("frame-*.csv")}
    assert {name for name in times if now[name] != times[name]} == {"frame-000004.csv"}


def test_a_stack_says_how_much_time_passes(tmp_path: Path) -> None:
    about = {"axes": "TYX", "finterval": 0.5, "unit": "um"}
    tifffile.imwrite(tmp_path / "imagej.tif", frames(3), imagej=True, resolution=(4, 4), metadata=about)
    assert time_step_s(tmp_path / "imagej.tif") == 0.5
    ome = {"axes": "TYX", "TimeIncrement": 20.0, "TimeIncrementUnit": "ms", "PhysicalSizeX": 0.3, "PhysicalSizeY": 0.3}
    tifffile.imwrite(tmp_path / "stack.ome.tif", frames(3), ome=True, metadata=ome)
    assert time_step_s(tmp_path / "stack.ome.tif") == pytest.approx(0.02)
    tifffile.imwrite(tmp_path / "plain.tif", frames(3), photometric="minisblack")
    assert time_step_s(tmp_path / "plain.tif") is None


def test_an_nd2_says_how_much_time_passes(tmp_path: Path) -> None:
    pytest.importorskip("nd2")
    path = tmp_path / "stack.nd2"
    path.write_bytes(nd2_file(frames(3)[..., None], ("DIC",), 16))  # a period of 100 ms
    assert time_step_s(path) == pytest.approx(0.1)
    assert stack_of_path(path).interval_s == pytest.approx(0.1)


def test_several_axes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "deep.ome.tif"
    tifffile.imwrite(path, frames(6).reshape(3, 2, 48, 56), ome=True, metadata={"axes": "TZYX"})
    with pytest.raises(pyrodrop.ImageError, match="several axes"):
        pyrodrop.track(path)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere.tif"], "does not exist"),
        (["ONE"], "holds one picture"),
        (["EMPTY"], "holds 0 images"),
        (["STACK", "--interval", "0"], "--interval is 0.0"),
        (["STACK", "--profile", "star"], "--profile is 'star'"),
        (["STACK", "--pixel-size", "-1"], "pixel"),
        (["STACK", "--weights", "nowhere.pt"], "nowhere.pt is no file"),
        (["STACK", "--frame", "2"], "unrecognized arguments"),
        (["STACK", "--interval", "soon"], "expected a number"),
        ([], "STACK"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tifffile.imwrite(tmp_path / "one.tif", frames(1)[0])
    tifffile.imwrite(tmp_path / "stack.tif", frames(2), photometric="minisblack")
    (tmp_path / "empty").mkdir()
    names = {"ONE": "one.tif", "EMPTY": "empty", "STACK": "stack.tif"}
    given = [str(tmp_path / names[word]) if word in names else word for word in words]
    try:
        status = main(["track", *given, "--out", str(tmp_path / "out"), "--device", "cpu"])
    except SystemExit as error:
        status = error.code
    shown = capsys.readouterr()
    assert status == 2
    assert message in shown.err
    assert shown.err.count("\n") == 1
    assert not (tmp_path / "out").exists()
