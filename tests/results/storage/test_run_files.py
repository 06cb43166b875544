"""A folder of results is of one run: what it wrote goes whole with the next, and what others put there stays."""

import json
from pathlib import Path

import pytest

from pyrodrop.results.storage.run_files import MANIFEST, add_to_run, begin_run, finish_run, is_altered, remove_run


def run(folder: Path, *names: str, content: str = "of the first run") -> None:
    """A whole run that writes these files."""
    begin_run(folder, names)
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)
    finish_run(folder, {"version": "1", "of": content})


def names_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_new_run_leaves_nothing_of_the_one_before(tmp_path: Path) -> None:
    run(tmp_path, "droplets.csv", "image.tif", "tiles/0-0.npz")
    (tmp_path / "report.html").write_text("a page about the first run")
    add_to_run(tmp_path, ["report.html"])
    run(tmp_path, "droplets.csv", content="of the second run")
    assert names_in(tmp_path) == {"droplets.csv", "summary.json", MANIFEST}
    assert not (tmp_path / "tiles").exists()
    assert json.loads((tmp_path / "summary.json").read_text())["of"] == "of the second run"


def test_what_others_put_there_stays(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    run(tmp_path, "droplets.csv", "tiles/0-0.npz")
    (tmp_path / "labels.tif").write_text("drawn by hand, not by a report")
    (tmp_path / "tiles" / "mine.txt").write_text("mine, too")
    run(tmp_path, "droplets.csv", content="of the second run")
    assert names_in(tmp_path) == {
        *("droplets.csv", "summary.json", MANIFEST),
        *("notes.txt", "labels.tif", "tiles/mine.txt"),
    }


def test_a_file_that_was_altered_is_put_aside_and_not_lost(tmp_path: Path) -> None:
    run(tmp_path, "droplets.csv", "overlay.png")
    (tmp_path / "overlay.png").write_text("with arrows drawn on it")
    remove_run(tmp_path)
    assert names_in(tmp_path) == {"earlier-overlay.png"}
    assert (tmp_path / "earlier-overlay.png").read_text() == "with arrows drawn on it"


def test_what_a_run_goes_on_from_is_kept(tmp_path: Path) -> None:
    run(tmp_path, "fit.pt", "droplets.csv")
    begin_run(tmp_path, ["fit.pt", "droplets.csv"], keep=["fit.pt"])
    assert names_in(tmp_path) == {"fit.pt", MANIFEST}


def test_a_run_that_was_killed_leaves_files_that_the_next_takes_away(tmp_path: Path) -> None:
    begin_run(tmp_path, ["droplets.csv", "image.tif", "never-written.png"])
    (tmp_path / "image.tif").write_text("of the killed run")
    assert not (tmp_path / "summary.json").exists()
    run(tmp_path, "droplets.csv")
    assert names_in(tmp_path) == {"droplets.csv", "summary.json", MANIFEST}


def test_a_folder_of_a_version_without_a_manifest_is_known_by_its_summary(tmp_path: Path) -> None:
    run(tmp_path, "droplets.csv", "image.tif")
    (tmp_path / MANIFEST).unlink()
    (tmp_path / "notes.txt").write_text("mine")
    remove_run(tmp_path)
    assert names_in(tmp_path) == {"notes.txt"}


def test_a_folder_that_is_not_of_a_run_keeps_all_its_files(tmp_path: Path) -> None:
    for name in ("droplets.csv", "report.html"):
        (tmp_path / name).write_text("of another program")
    (tmp_path / "summary.json").write_text('{"by": "another program"}')
    remove_run(tmp_path)
    assert names_in(tmp_path) == {"droplets.csv", "report.html", "summary.json"}


@pytest.mark.parametrize("name", ["../outside.txt", "/outside.txt", "."])
def test_a_manifest_never_reaches_out_of_its_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    outside = tmp_path / "outside.txt"
    outside.write_text("of someone else")
    begin_run(folder, [name if name != "/outside.txt" else str(outside)])
    remove_run(folder)
    assert outside.exists()


def test_an_altered_file_is_told_from_the_run_s_own(tmp_path: Path) -> None:
    run(tmp_path, "droplets.csv")
    assert is_altered(tmp_path, "droplets.csv") is False
    (tmp_path / "droplets.csv").write_text("of another length")
    assert is_altered(tmp_path, "droplets.csv")
    (tmp_path / MANIFEST).write_text("{}")  # then nothing is known
    assert is_altered(tmp_path, "droplets.csv") is None
