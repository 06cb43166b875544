"""Many images: the same results as one by one, in one table; a second run does only what is missing."""

import contextlib
import io
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image
from worker_here import worker_here

import pyrodrop
from pyrodrop.cli import main
from pyrodrop.images import write_png
from pyrodrop.workflows.batch.result_keys import Mark, mark_of

SETTINGS = ("--job", "fit", "--channel", "saturation", "--droplets", "2", "--steps", "4", "--start", "uniform")
NAMES = ("a", "b", "c")


class Done(NamedTuple):
    """What a batch has printed and left behind."""

    status: int
    told: dict[str, Any]
    messages: str
    out: Path


def run(out: Path, *argv: str, **how: Any) -> Done:
    """A batch in a process of its own, as a person starts it."""
    code = "import sys; from pyrodrop.cli import main; sys.exit(main(sys.argv[1:]))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(
        [sys.executable, "-c", code, "batch", *argv, "--out", str(out), "--json"],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        **how,
    )
    return Done(ended.returncode, json.loads(ended.stdout or "{}"), ended.stderr, out)


def run_here(out: Path, *argv: str) -> Done:
    """A batch in this process, which is its worker, too; so it is also seen that it leaves global state alone."""
    told, said = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(said), worker_here():
        status = main(["batch", *argv, "--out", str(out), "--json"])
    return Done(status, json.loads(told.getvalue() or "{}"), said.getvalue(), out)


def tables(out: Path) -> dict[str, bytes]:
    """The droplet tables: of all images, and of each."""
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("droplets.csv")}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three micrographs, one that is cut short, and one that is no image."""
    folder = tmp_path_factory.mktemp("images")
    for seed, name in enumerate(NAMES):
        write_png(pyrodrop.simulate(2, (30, 40), seed)[0], folder / f"{name}.png")
    (folder / "bad.png").write_bytes((folder / "a.png").read_bytes()[:500])
    (folder / "notes.txt").write_text("no image")
    for path in folder.iterdir():  # what has changed just now is looked at again in every run
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return folder


@pytest.fixture(scope="module")
def done(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    return run(tmp_path_factory.mktemp("batch") / "out", str(images), *SETTINGS)


@pytest.fixture
def again(done: Done, tmp_path: Path) -> Path:
    """The output folder of the batch, to be changed."""
    shutil.copytree(done.out, tmp_path / "out")
    return tmp_path / "out"


def folders(out: Path) -> dict[str, Path]:
    return {path.name.rsplit("-", 1)[0]: path for path in out.iterdir() if path.is_dir()}


def test_a_batch_does_what_can_be_done_and_names_what_cannot(done: Done, images: Path) -> None:
    assert done.status == 1
    told = {name: done.told[name] for name in ("images", "done", "failed", "done_before", "droplets", "job")}
    assert told == {"images": 4, "done": 3, "failed": 1, "done_before": 0, "droplets": 6, "job": "fit"}
    (failure,) = done.told["failures"]
    assert failure["image"] == str(images / "bad.png")
    assert "cut short or damaged" in failure["reason"]
    assert failure["reason"] in done.messages
    assert "Traceback" not in done.messages
    assert sorted(folders(done.out)) == list(NAMES)
    visible = {path.name for path in done.out.iterdir() if not path.name.startswith(".") and path.is_file()}
    assert visible - {"droplets.parquet"} == {"droplets.csv", "summary.csv", "summary.json", "manifest.json"}
    assert {path.name for path in done.out.iterdir() if path.name.startswith(".")} <= {".hashes.json"}


def test_each_result_is_that_of_a_single_run(done: Done, images: Path, tmp_path: Path) -> None:
    assert main(["fit", str(images / "b.png"), *SETTINGS[2:], "--out", str(tmp_path), "--quiet"]) == 0
    found = folders(done.out)["b"]
    assert {path.name for path in found.iterdir()} == {path.name for path in tmp_path.iterdir()} | {"batch.json"}
    one, several = (pd.read_csv(folder / "droplets.csv") for folder in (tmp_path, found))
    pd.testing.assert_frame_equal(one, several, rtol=1e-4)
    summary = json.loads((found / "summary.json").read_text())
    assert (summary["image"], summary["channel"], summary["steps"]) == (str(images / "b.png"), "saturation", 4)


def test_the_table_holds_the_droplets_of_every_image(done: Done, images: Path) -> None:
    table = pd.read_csv(done.out / "droplets.csv")
    for name, rows in table.groupby("image"):
        own = pd.read_csv(folders(done.out)[Path(str(name)).stem] / "droplets.csv")
        np.testing.assert_allclose(rows[["x_px", "radius_px"]], own[["x_px", "radius_px"]])
    assert set(table["image"]) == {str(images / f"{name}.png") for name in NAMES}


def test_a_second_run_does_what_is_missing_and_no_more(again: Path, done: Done, images: Path) -> None:
    shutil.rmtree(folders(again)["b"])
    kept = {name: marks(folders(again)[name]) for name in ("a", "c")}
    good = [str(images / f"{name}.png") for name in NAMES]
    second = run_here(again, *good, *SETTINGS, "--quiet")
    told = [second.told[name] for name in ("images", "done", "done_before", "failed")]
    assert (second.status, told, second.messages) == (0, [3, 3, 2, 0], "")
    assert kept == {name: marks(folders(again)[name]) for name in kept}
    assert tables(again) == tables(done.out)


def marks(out: Path) -> dict[str, Mark]:
    """What tells whether a file was written to."""
    return {str(path): mark_of(str(path)) for path in out.rglob("*")}


def test_a_finished_run_clears_what_a_killed_one_has_left(again: Path, images: Path) -> None:
    """Killed between its last image and its tables, a run leaves nothing to be done but its folder."""
    left = again / ".under-way" / f"{socket.gethostname()},{os.getpid()},12345.00,1"
    (left / "half").mkdir(parents=True)
    assert run_here(again, str(images), *SETTINGS).told["done_before"] == 3
    assert not left.parent.exists()


def test_a_finished_run_starts_nothing(again: Path, images: Path, tmp_path: Path) -> None:
    before = marks(again)
    code = """
import sys
from pyrodrop.cli import main
status = main(sys.argv[1:])
heavy = {"torch", "pyro", "pandas", "matplotlib", "distributed", "dask"} & sys.modules.keys()
sys.exit(f"imported {sorted(heavy)}" if heavy else status)
"""
    good = [str(images / f"{name}.png") for name in NAMES]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    argv = [sys.executable, "-c", code, "batch", *good, *SETTINGS, "--out", str(again), "--quiet"]
    for finished in range(2):  # the first one leaves out the image that failed, and so has another table to write
        ended = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert "done_before: 3" in ended.stdout
        if finished:
            assert before == marks(again)
        before = marks(again)


def refused(argv: list[str], out: Path, capsys: pytest.CaptureFixture[str]) -> str:
    try:
        status = main(["batch", *argv, "--out", str(out), "--quiet"])
    except SystemExit as left:
        status = left.code
    shown = capsys.readouterr()
    assert (status, shown.out, shown.err.count("\n")) == (2, "", 1)
    assert shown.err.startswith("pyrodrop")
    assert not out.exists() or not [path for path in out.iterdir() if path.name != ".hashes.json"]
    return shown.err


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (["--droplets", "0"], "--droplets is 0"),
        (["--steps", "-1"], "steps is -1"),
        (["--scale", "-1"], "scale is -1"),
        (["--workers", "0"], "workers is 0"),
        (["--workers-per-gpu", "0"], "--workers-per-gpu is 0"),
        (["--together", "0"], "together is 0"),
        (["--job", "paint"], "paint"),
        (["--seed", "-1"], "seed is -1"),
        (["--device", "tpu"], "device is 'tpu'"),
        (["--scheduler", "tcp://127.0.0.1:9"], "tcp://127.0.0.1:9"),
        (["--scheduler", "nonsense:://"], "nonsense"),
        (["--resume", "fit.pt"], "--resume"),
        (["none.png"], "none.png"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_right_for_any_image_is_said_at_once(
    given: list[str],
    named: str,
    images: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT", "2s")
    assert named in refused([str(images), *SETTINGS, *given], tmp_path / "out", capsys)


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[str]:
    """The file of a Dask scheduler with two workers, as a person starts them."""
    file = str(tmp_path / "scheduler.json")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "dask", *argv], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for argv in (
            ["scheduler", "--scheduler-file", file, "--port", "0", "--no-dashboard", "--host", "127.0.0.1"],
            ["worker", "--scheduler-file", file, "--nworkers", "2", "--nthreads", "1", "--no-dashboard"],
        )
    ]
    yield file
    for process in reversed(started):
        process.terminate()
        process.wait()


@pytest.mark.slow
def test_any_scheduler_will_do(scheduler: str, images: Path, done: Done, tmp_path: Path) -> None:
    elsewhere = run(tmp_path / "out", str(images), *SETTINGS, "--scheduler", scheduler)
    assert (elsewhere.status, elsewhere.told["done"], elsewhere.told["failed"]) == (1, 3, 1)
    assert tables(elsewhere.out) == tables(done.out)


def test_images_of_one_name_and_content_share_their_results(images: Path, done: Done, again: Path) -> None:
    copy = again.parent / "copy" / "a.png"
    copy.parent.mkdir()
    shutil.copy(images / "a.png", copy)
    both = run_here(again, str(images / "a.png"), str(copy), *SETTINGS)
    assert (both.status, both.told["images"], both.told["done"], both.told["droplets"]) == (0, 2, 2, 4)
    assert folders(again).keys() == folders(done.out).keys()


def test_copies_of_an_image_have_results_of_their_own_whatever_their_names(images: Path, tmp_path: Path) -> None:
    names = ["a.png", "copy.png", "two\nlines.png"] + ([os.fsdecode(b"\xff.png")] if sys.platform == "linux" else [])
    (tmp_path / "images").mkdir()
    for name in names:
        shutil.copy(images / "a.png", tmp_path / "images" / name)
    done = run_here(tmp_path / "out", str(tmp_path / "images"), *SETTINGS)
    assert (done.status, done.told["done"], done.told["done_before"]) == (0, len(names), 0)
    assert len(folders(done.out)) == len(names)
    table = pd.read_csv(done.out / "droplets.csv")
    assert len(table) == 2 * len(names)
    assert (table.groupby("image")["x_px"].apply(list).map(tuple).nunique(), table["image"].nunique()) == (
        1,
        len(names),
    )
    if (done.out / "droplets.parquet").exists():
        assert pd.read_parquet(done.out / "droplets.parquet")["image"].tolist() == table["image"].tolist()


def test_every_picture_of_a_stack_is_an_image(tmp_path: Path) -> None:
    pixels = [(pyrodrop.simulate(2, (30, 40), seed)[0].pixels[..., 0] * 255).byte().numpy() for seed in range(3)]
    tifffile.imwrite(tmp_path / "stack.tif", np.stack(pixels), photometric="minisblack")
    out = tmp_path / "out"
    argv = [str(tmp_path), "--channel", "gray", "--droplets", "2", "--steps", "4", "--start", "uniform", "--job", "fit"]
    done = run_here(out, *argv)
    assert (done.status, done.told["images"], done.told["done"]) == (0, 3, 3)
    assert sorted(folders(out)) == [f"stack-frame{number}" for number in range(3)]
    table = pd.read_csv(out / "droplets.csv")
    assert table["frame"].tolist() == [0, 0, 1, 1, 2, 2]
    assert main(["fit", str(tmp_path / "stack.tif"), "--frame", "1", *argv[1:-2], "--out", str(tmp_path / "one")]) == 0
    one = pd.read_csv(tmp_path / "one" / "droplets.csv")
    np.testing.assert_allclose(table.loc[table["frame"] == 1, one.columns[:8]], one[one.columns[:8]], rtol=1e-4)
    shutil.rmtree(folders(out)["stack-frame2"])
    again = run_here(out, *argv)
    assert (again.status, again.told["images"], again.told["done_before"]) == (0, 3, 2)


def test_a_gray_image_among_colours_is_named_and_no_more(images: Path, again: Path, tmp_path: Path) -> None:
    Image.new("L", (8, 6), 100).save(tmp_path / "gray.png")
    mixed = run_here(again, str(images / "a.png"), str(tmp_path / "gray.png"), *SETTINGS)
    assert (mixed.status, mixed.told["done"], mixed.told["done_before"]) == (1, 1, 1)
    assert "gray" in mixed.told["failures"][0]["reason"]
