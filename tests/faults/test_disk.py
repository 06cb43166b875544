"""A full disk, a folder that is closed, a file that is damaged."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from faults.processes import BATCH, FIT, MOMENTS, RUN, nothing_damaged, own, run, tables

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="signals and file systems as POSIX has them"),
]


def mounted(folder: Path, options: str) -> Path:
    """Mount a file system in memory on a new folder, or skip the test where that is not allowed."""
    folder.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("only root may mount")
    argv = [mount, "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if subprocess.run(argv, capture_output=True, check=False).returncode != 0:
        pytest.skip("no file system may be mounted here")
    return folder


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 192 kB."""
    disk = mounted(tmp_path / "disk", "size=192k")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Path]:
    """A folder that nobody here may write to: root is only kept out by a disk that is read only."""
    if os.geteuid() != 0:
        (tmp_path / "closed").mkdir(mode=0o555)
        yield tmp_path / "closed"
        return
    disk = mounted(tmp_path / "closed", "ro")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("command", ["fit", "batch"])
def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(
    command: str, image: str, images: Path, small_disk: Path
) -> None:
    what = [image, *FIT, "--steps", "20"] if command == "fit" else [str(images), *BATCH, "--workers", "1"]
    for filled in (0, 60 * 1024, 172 * 1024):  # so that it is full at different files
        out = small_disk / f"out{filled}"
        (small_disk / "filler").write_bytes(b"\0" * filled)
        # Figures are what fills it.
        code = RUN.replace("import faults.blank\n", "")
        status, told, messages = run(command, *what, "--out", str(out), "--quiet", code=code)
        assert (status, told) == (1, "")
        (said,) = own(messages)
        assert said.startswith(f"pyrodrop {command}: ")
        assert "No space left on device" in said
        assert "Traceback" not in messages
        nothing_damaged(out)
        if out.exists():  # a folder in which not one file had room is taken away again
            shutil.rmtree(out)


def test_a_folder_that_may_not_be_written_to(image: str, images: Path, closed: Path) -> None:
    for argv in (["fit", image, *FIT, "--steps", "4"], ["batch", str(images), *BATCH]):
        for out in (closed, closed / "new"):
            status, told, messages = run(*argv, "--out", str(out), "--quiet")
            (said,) = own(messages)
            assert (status, told) == (2, "")
            assert str(out) in said
            assert "Traceback" not in messages
            assert list(closed.iterdir()) == []


def test_a_corrupt_file_among_a_thousand_good_ones(images: Path, undisturbed_batch: Path, tmp_path: Path) -> None:
    """In 250 folders; their results are those of a run without it. In the long variant no two have one content."""
    good = sorted(images.glob("*.png"))
    folder, out = tmp_path / "images", tmp_path / "out"
    for number in range(1000 // len(good)):
        (folder / f"{number}").mkdir(parents=True)
        for path in good:
            # A byte behind the end of a PNG is no part of the picture, and makes another content of it.
            other = str(number).encode() if number and MOMENTS >= 100 else b""
            (folder / f"{number}" / path.name).write_bytes(path.read_bytes() + other)
    whole = good[0].read_bytes()
    cut = folder / "100" / "cut.png"
    cut.write_bytes(whole[: len(whole) // 2])
    status, told, messages = run("batch", str(folder / "**" / "*.png"), *BATCH, "--out", str(out), "--json")
    summary = json.loads(told)
    assert (status, summary["done"], summary["failed"]) == (1, 1000, 1)
    assert summary["failures"][0]["image"] == str(cut)
    assert "Traceback" not in messages
    assert len([line for line in messages.splitlines() if str(cut) in line]) == 1
    assert messages.splitlines()[-1].startswith("1001 of 1001 images")
    for name, table in tables(undisturbed_batch).items():
        if name != "droplets.csv":
            assert (out / name).read_bytes() == table
    whole_table = pd.read_csv(out / "droplets.csv")
    assert whole_table["image"].nunique() == 1000
    expected = pd.read_csv(undisturbed_batch / "droplets.csv").drop(columns="image")
    for _, rows in whole_table.groupby(whole_table["image"].str.split("/").str[-2]):
        pd.testing.assert_frame_equal(rows.drop(columns="image").reset_index(drop=True), expected)
    nothing_damaged(out)
