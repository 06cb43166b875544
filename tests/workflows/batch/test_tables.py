"""Many results as one table, written again only when they are others."""

import csv
import json
from pathlib import Path

import pandas as pd
import pytest

from pyrodrop.results.storage.sealed_files import read_sealed
from pyrodrop.workflows.batch.result_keys import mark_of
from pyrodrop.workflows.batch.tables import DROPLETS, IMAGES, PARQUET, SUMMARY, Entry, put_together


def result(out: Path, name: str, table: str, summary: dict[str, object], frame: int | None = None) -> Entry:
    folder = out / f"{name}-key"
    folder.mkdir()
    (folder / DROPLETS).write_text(table)
    (folder / SUMMARY).write_text(json.dumps(summary))
    return Entry(f"{name}.png", frame, f"key of {name}", folder)


@pytest.fixture
def entries(tmp_path: Path) -> list[Entry]:
    one = result(tmp_path, "one", "id,x_px,flags\n0,1.5,border\n1,2.5,\n", {"count": {"mean": 2.0, "q05": 1}, "l": [1]})
    two = result(tmp_path, "two", "id,x_px,x_um,flags\n0,3.5,0.35,\n", {"count": {"mean": 1.0}, "pixel_size_um": None})
    bad = Entry("bad.png", None, "key of bad", tmp_path / "bad-key", "bad.png is cut, alas")
    return [one, bad, two]


def test_the_table_of_all_droplets_has_every_column_that_one_has(entries: list[Entry], tmp_path: Path) -> None:
    put_together(entries, tmp_path, {})
    assert (tmp_path / DROPLETS).read_text() == (
        "image,id,x_px,flags,x_um\none.png,0,1.5,border,\none.png,1,2.5,,\ntwo.png,0,3.5,,0.35\n"
    )


def test_frames_have_a_column_where_there_are_any(tmp_path: Path) -> None:
    first, plain = result(tmp_path, "s", "id\n0\n", {}, 0), result(tmp_path, "p", "id\n0\n", {})
    put_together([first, plain], tmp_path, {})
    assert (tmp_path / DROPLETS).read_text() == "image,frame,id\ns.png,0,0\np.png,,0\n"


def test_the_parquet_table_is_the_same_with_types(entries: list[Entry], tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    put_together(entries, tmp_path, {})
    table = pd.read_parquet(tmp_path / PARQUET)
    expected = pd.read_csv(tmp_path / DROPLETS, keep_default_na=False, na_values={"x_um": ""})
    pd.testing.assert_frame_equal(table, expected, check_dtype=False)
    assert [str(table.dtypes[name]) for name in ("id", "x_px", "x_um")] == ["int64", "float64", "float64"]


def test_every_image_has_a_row_with_its_numbers_or_why_it_failed(entries: list[Entry], tmp_path: Path) -> None:
    put_together(entries, tmp_path, {})
    with (tmp_path / IMAGES).open(newline="") as file:
        one, bad, two = csv.DictReader(file)
    assert (one["image"], one["state"], one["folder"], one["count_mean"], one["count_q05"]) == (
        "one.png",
        "done",
        "one-key",
        "2.0",
        "1",
    )
    assert (bad["state"], bad["reason"], bad["folder"]) == ("failed", "bad.png is cut, alas", "")
    assert (two["count_mean"], two["count_q05"], two["pixel_size_um"]) == ("1.0", "", "")


def test_the_summary_counts_and_names_what_failed(entries: list[Entry], tmp_path: Path) -> None:
    told = put_together(entries, tmp_path, {"job": "fit"})
    assert told == read_sealed(tmp_path / SUMMARY)
    assert (told["job"], told["images"], told["done"], told["failed"], told["droplets"]) == ("fit", 3, 2, 1, 3)
    assert told["failures"] == [{"image": "bad.png", "reason": "bad.png is cut, alas"}]


def test_the_tables_of_the_same_results_are_left_alone(entries: list[Entry], tmp_path: Path) -> None:
    put_together(entries, tmp_path, {})
    before = {name: mark_of(str(tmp_path / name)) for name in (DROPLETS, IMAGES, SUMMARY)}
    put_together(entries, tmp_path, {})
    assert before == {name: mark_of(str(tmp_path / name)) for name in before}


@pytest.mark.parametrize(
    "change",
    [
        "fewer",
        "other key",
        "settings",
        "cut table",
        "altered table",
        "no summary",
        "damaged summary",
        "altered summary",
    ],
)
def test_the_tables_of_other_results_or_damaged_ones_are_written_again(
    entries: list[Entry], tmp_path: Path, change: str
) -> None:
    put_together(entries, tmp_path, {"settings": 1})
    about, (one, bad, two) = {"settings": 1}, entries
    if change == "fewer":
        entries = [one, two]
    elif change == "other key":
        two = two._replace(key="another")
        (two.folder / DROPLETS).write_text("id\n0\n1\n")
        entries = [one, bad, two]
    elif change == "settings":
        about = {"settings": 2}
    elif change == "cut table":
        (tmp_path / DROPLETS).write_text("image")
    elif change == "no summary":
        (tmp_path / SUMMARY).unlink()
    elif change == "altered table":
        text = (tmp_path / DROPLETS).read_text()
        (tmp_path / DROPLETS).write_text(text.replace("0", "5"))
    elif change == "altered summary":
        told = json.loads((tmp_path / SUMMARY).read_text())
        (tmp_path / SUMMARY).write_text(json.dumps(told | {"images": 77}))
    else:
        (tmp_path / SUMMARY).write_text("{")
    told = put_together(entries, tmp_path, about)
    assert told == read_sealed(tmp_path / SUMMARY)
    assert told["images"] == len(entries)
    assert told["settings"] == about["settings"]
    assert len(pd.read_csv(tmp_path / DROPLETS)) == told["droplets"] == (4 if change == "other key" else 3)


def test_a_batch_without_any_result_still_has_its_tables(tmp_path: Path) -> None:
    told = put_together([Entry("bad.png", None, "", tmp_path / "bad", "gone")], tmp_path, {})
    assert (told["failed"], told["droplets"]) == (1, 0)
    assert (tmp_path / DROPLETS).read_text() == "image\n"
