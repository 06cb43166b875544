"""Tables for spreadsheets: numbers stay numbers, text stays text, whatever it begins with."""

import csv
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyrodrop.results.exports import spreadsheet
from pyrodrop.results.storage.result_folder import ResultError

openpyxl = pytest.importorskip("openpyxl")


def table(folder: Path, rows: list[list[str]]) -> Path:
    with (folder / "table.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    return folder / "table.csv"


def test_a_sheet_has_numbers_and_words(tmp_path: Path) -> None:
    rows = [["name", "n", "x"], ["=1+1", "12", "1.5e-3"], ["007", "-3", ""], ["bell\x07", "0", ".5"]]
    spreadsheet.write_workbook({"a": table(tmp_path, rows), "b": table(tmp_path, rows)}, tmp_path / "book.xlsx")
    book = openpyxl.load_workbook(tmp_path / "book.xlsx")
    assert book.sheetnames == ["a", "b"]
    cells = [[cell.value for cell in row] for row in book["a"].iter_rows()]
    assert cells == [["name", "n", "x"], ["=1+1", 12, 0.0015], ["007", -3, None], ["bell\ufffd", 0, 0.5]]
    assert book["a"]["A2"].data_type == "s"  # and no formula
    assert [book["a"].column_dimensions[letter].width for letter in "ABC"] == [7, 4, 8]  # nothing is cut off


def test_more_rows_than_a_sheet_has_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreadsheet, "_MOST_ROWS", 2)
    with pytest.raises(ResultError, match="more than 1 rows"):
        spreadsheet.write_workbook({"a": table(tmp_path, [["x"], ["1"], ["2"]])}, tmp_path / "book.xlsx")
    assert not (tmp_path / "book.xlsx").exists()


CELLS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(lambda value: f"{value:.6g}"),
    st.sampled_from(["a.png", "1.2.3", "v1.5", "", "x;y", 'say "1.5"']),
)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=4))
def test_commas_and_back_is_the_same_table(tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]) -> None:
    folder = tmp_path_factory.mktemp("table")
    spreadsheet.write_with_commas(table(folder, rows), folder / "comma.csv")
    with (folder / "comma.csv").open(newline="", encoding="utf-8-sig") as file:
        read = list(csv.reader(file, delimiter=";"))
    assert [
        [_back(text, own) for text, own in zip(*both, strict=True)] for both in zip(read, rows, strict=True)
    ] == rows
    assert not any(
        "." in text
        for row, own in zip(read, rows, strict=True)
        for text, o in zip(row, own, strict=True)
        if _is_float(o)
    )


def _is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _back(text: str, own: str) -> str:
    return text.replace(",", ".") if _is_float(own) else text
