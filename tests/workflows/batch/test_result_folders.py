"""The folder of an image's results appears whole, and damage is seen."""

import os
from pathlib import Path

import pytest

from pyrodrop.workflows.batch.result_folders import RECORD, folder_name, publish, read_record

KEY = "0123456789abcdef" * 4


def make(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def test_published_results_are_whole_and_say_whose_they_are(tmp_path: Path) -> None:
    publish(make(tmp_path / "run" / "made", table="1,2", picture=""), tmp_path / "there", KEY, {"image": "a.png"})
    record = read_record(tmp_path / "there", KEY)
    assert record == {"key": KEY, "image": "a.png", "files": {"table": 3, "picture": 0}, "hashes": {}}
    assert not (tmp_path / "run" / "made").exists()
    assert read_record(tmp_path / "there", "f" * 64) is None
    assert read_record(tmp_path / "nowhere") is None


@pytest.mark.parametrize("damage", ["cut", "lost", "no record", "half a record", "no mapping"])
def test_damaged_results_are_not_taken_and_are_replaced(tmp_path: Path, damage: str) -> None:
    there = tmp_path / "there"
    publish(make(tmp_path / "run" / "made", table="1,2"), there, KEY, {})
    if damage == "cut":
        (there / "table").write_text("1")
    elif damage == "lost":
        (there / "table").unlink()
    elif damage == "no record":
        (there / RECORD).unlink()
    else:
        (there / RECORD).write_text("[3]" if damage == "no mapping" else (there / RECORD).read_text()[:20])
    assert read_record(there, KEY) is None
    publish(make(tmp_path / "run" / "made", table="3,4"), there, KEY, {})
    assert read_record(there, KEY) is not None
    assert (there / "table").read_text() == "3,4"


@pytest.mark.parametrize("what", ["a file", "a pipe", "a link to itself", "a link to nowhere"])
def test_what_is_no_folder_gives_way_to_results(tmp_path: Path, what: str) -> None:
    there = tmp_path / "there"
    if what == "a file":
        there.touch()
    elif what == "a pipe":
        os.mkfifo(there)
    else:
        there.symlink_to(there if what == "a link to itself" else tmp_path / "nowhere")
    publish(make(tmp_path / "run" / "made", table="1,2"), there, KEY, {})
    assert read_record(there, KEY) is not None
    assert (there / "table").read_text() == "1,2"


@pytest.mark.parametrize("name", ["droplets.csv", "summary.json", RECORD])
def test_what_the_tables_are_made_from_is_told_altered_at_the_same_length(tmp_path: Path, name: str) -> None:
    there, made = tmp_path / "there", make(tmp_path / "run" / "made")
    (made / "droplets.csv").write_text("x_px\n1.5\n")
    (made / "summary.json").write_text('{"count": 11}')
    publish(made, there, KEY, {"seconds": 1.5})
    before = (there / name).read_text()
    (there / name).write_text(before.replace("1", "7", 1))
    assert (there / name).read_text() != before
    assert read_record(there, KEY) is None


def test_the_slower_of_two_runs_leaves_the_results_of_the_faster_alone(tmp_path: Path) -> None:
    there = tmp_path / "there"
    publish(make(tmp_path / "one" / "made", table="first"), there, KEY, {})
    publish(make(tmp_path / "two" / "made", table="second"), there, KEY, {})
    assert (there / "table").read_text() == "first"
    assert read_record(there, KEY) is not None


def test_what_a_person_adds_to_results_does_no_harm(tmp_path: Path) -> None:
    publish(make(tmp_path / "run" / "made", table="1"), tmp_path / "there", KEY, {})
    (tmp_path / "there" / "my notes").write_text("good one")
    assert read_record(tmp_path / "there", KEY) is not None


def test_folders_are_named_after_image_frame_and_key() -> None:
    assert folder_name("/a/b/drops.ome.tif", None, KEY) == "drops.ome-01234567"
    assert folder_name("/a/b/drops.tif", 3, KEY) == "drops-frame3-01234567"
    for letter in ("x", "\u6db2"):
        longest = "/a/" + letter * (251 // len(letter.encode())) + ".png"
        assert len(folder_name(longest, 12345, KEY).encode()) <= 255
