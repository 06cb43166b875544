"""Stacks as they are: videos, masks, workers that measure frames side by side, and runs that are killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from workflows.tracking.test_tracks import drawn

import pyrodrop
from pyrodrop.cli import main
from pyrodrop.images.reading.video import Video
from pyrodrop.workflows.tracking.stack import pixels_of, stack_of_path


def video_of(path: Path, frames: list[np.ndarray], rate: int = 4) -> Path:
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=rate)  # without loss
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape, "gray"
        for frame in frames:
            levels = np.uint8(np.clip(255 * (frame + 0.1), 0, 255))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(levels, format="gray")))
        container.mux(stream.encode())
    return path


def test_a_video_gives_its_pictures_one_at_a_time_and_the_time_between_them(tmp_path: Path) -> None:
    frames = [drawn(t) for t in range(6)]
    video = Video(video_of(tmp_path / "drops.mkv", frames))
    assert (video.count, video.interval_s) == (6, pytest.approx(0.25, abs=1e-3))
    for number in (2, 3, 0, 5):  # back, too
        picture = video.picture(number)
        assert picture.shape == (64, 64, 1)
        np.testing.assert_allclose(picture[..., 0], 255 * (frames[number] + 0.1), atol=2)
    with pytest.raises(pyrodrop.ImageError, match="no picture 6"):
        video.picture(6)
    stack = stack_of_path(tmp_path / "drops.mkv", scale=0.5)
    assert tuple(pixels_of(stack.read(1))[0].shape) == (32, 32)
    (tmp_path / "none.mp4").write_bytes(b"no video" * 99)
    for name, message in (("none.mp4", "no video that can be read"), ("nowhere.avi", "does not exist")):
        with pytest.raises(pyrodrop.ImageError, match=message):
            pyrodrop.track(tmp_path / name)


def test_without_pyav_a_video_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "drops.mp4").write_bytes(b"anything")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(pyrodrop.ImageError, match=r"pyrodrop\[video\]"):
        pyrodrop.track(tmp_path / "drops.mp4")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stack") / "stack.tif"
    frames = np.uint16(40_000 * np.clip(np.array([drawn(t) for t in range(6)]) + 0.1, 0, 1.5))
    tifffile.imwrite(path, frames, photometric="minisblack")
    return path


def test_what_is_not_looked_at_holds_no_track(stack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--region", "0", "0", "64", "44", "--exclude", "36", "0", "28", "44"]
    words = [*where, "--profile", "gaussian", "--device", "cpu", "--json", "--out", str(tmp_path / "out")]
    assert main(["track", str(stack), *words]) == 0
    said = json.loads(capsys.readouterr().out)
    table = pd.read_csv(tmp_path / "out" / "tracks.csv")
    assert said["n_tracks"] == 1
    assert (table["x_px"] < 36).all()
    assert (table["y_px"] < 44).all()
    assert said["looked_at"]["area_px"] == 36 * 44
    # another mask is another way to measure: nothing of the first is taken for it
    words[4] = "64"
    assert main(["track", str(stack), *words]) == 0
    assert pd.read_csv(tmp_path / "out" / "tracks.csv")["y_px"].max() > 44


@pytest.mark.slow
def test_workers_measure_what_one_process_does(stack: Path, tmp_path: Path) -> None:
    alone = pyrodrop.track(stack, profile="gaussian", device="cpu")
    apart = pyrodrop.track(stack, profile="gaussian", device="cpu", workers=2, keep=tmp_path / "kept")
    pd.testing.assert_frame_equal(alone.table, apart.table)
    assert len(list((tmp_path / "kept").glob("frame-*.csv"))) == 6
    with pytest.raises(pyrodrop.SettingError, match="workers read frames from a file"):
        pyrodrop.track([drawn(0), drawn(1)], workers=2)


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_to_the_same_numbers(stack: Path, tmp_path: Path) -> None:
    out, kept = tmp_path / "killed", tmp_path / "killed" / "frames"
    words = ["track", str(stack), "--profile", "gaussian", "--device", "cpu", "--quiet", "--out"]
    run = subprocess.Popen(
        [sys.executable, "-c", "from pyrodrop.cli import run; run()", *words, str(out)], stdout=subprocess.DEVNULL
    )
    while len(list(kept.glob("frame-*.json"))) < 2:
        assert run.poll() is None
        time.sleep(0.01)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    before = {path.name: path.stat().st_mtime_ns for path in kept.glob("frame-*.json")}
    assert 2 <= len(before) <= 6
    assert main([*words, str(out)]) == 0
    after = {path.name: path.stat().st_mtime_ns for path in kept.glob("frame-*.json")}
    assert before.items() <= after.items()
    assert main([*words, str(tmp_path / "whole")]) == 0
    assert (out / "tracks.csv").read_bytes() == (tmp_path / "whole" / "tracks.csv").read_bytes()
