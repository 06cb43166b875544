"""Tables for spreadsheets: a workbook with a sheet for each, and CSV where a comma is the decimal point."""

import csv
import importlib.util
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pyrodrop.results.storage.atomic_write import atomic_write
from pyrodrop.results.storage.result_folder import ResultError

# Rows of a sheet, its header included, and characters of a cell, by the specification of Excel.
_MOST_ROWS, _LONGEST = 1_048_576, 32_767
_WIDEST = 60  # characters of a column, as it is shown first
# Characters that XML, and so a workbook, cannot hold.
_NO_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def can_write_workbooks() -> bool:
    """Whether openpyxl, which writes them, is installed."""
    return importlib.util.find_spec("openpyxl") is not None


def write_workbook(tables: Mapping[str, Path], path: Path) -> None:
    """Write CSV tables as the sheets of a workbook (.xlsx), numbers as numbers.

    Args:
        tables: CSV files by the name of their sheet, in order.
        path: the file to write.

    Raises:
        ResultError: for a table with more rows than a sheet can have.
    """
    import openpyxl
    from openpyxl.utils import get_column_letter

    for table in tables.values():
        if sum(1 for _ in _rows(table)) > _MOST_ROWS:
            raise ResultError(f"{table} has more than {_MOST_ROWS - 1} rows, and a sheet has no more; take the CSV")
    book = openpyxl.Workbook(write_only=True)
    for name, table in tables.items():
        sheet = book.create_sheet(name)
        sheet.freeze_panes = "A2"
        for number, width in enumerate(_widths(table), 1):
            sheet.column_dimensions[get_column_letter(number)].width = width
        for row in _rows(table):
            sheet.append([_cell(sheet, text) for text in row])
    atomic_write(path, book.save)


def write_with_commas(table: Path, path: Path) -> None:
    """Write a CSV table anew with semicolons between its cells and commas for decimal points."""

    def write(temporary: Path) -> None:
        with temporary.open("w", newline="", encoding="utf-8-sig") as file:
            writer = csv.writer(file, delimiter=";", lineterminator="\n")
            writer.writerows([_with_comma(text) for text in row] for row in _rows(table))

    atomic_write(path, write)


def _rows(table: Path) -> Iterator[list[str]]:
    with table.open(newline="", encoding="utf-8") as file:
        yield from csv.reader(file)


def _widths(table: Path) -> list[int]:
    """How many characters wide each column is shown: as its longest text, with some room, and no wider than a page."""
    widths: list[int] = []
    for row in _rows(table):
        widths += [0] * (len(row) - len(widths))
        widths = [max(width, len(row[k]) if k < len(row) else 0) for k, width in enumerate(widths)]
    return [min(width + 2, _WIDEST) for width in widths]


def _is_number(text: str) -> bool:
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text, re.ASCII):
        return False  # nor is what Python takes for one besides, as 1_0 or nan
    return not re.fullmatch(r"0\d+", text)  # but a name, as 007


def _with_comma(text: str) -> str:
    return text.replace(".", ",") if _is_number(text) else text


def _cell(sheet: Any, text: str) -> Any:
    """A number, or text that no spreadsheet takes for a formula."""
    from openpyxl.cell import WriteOnlyCell

    if not text:
        return None
    if _is_number(text):
        return float(text) if any(c in text for c in ".eE") or len(text) > 15 else int(text)
    cell = WriteOnlyCell(sheet, value=_NO_XML.sub("\ufffd", text)[:_LONGEST])
    cell.data_type = "s"
    return cell
