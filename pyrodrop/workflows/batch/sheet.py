"""A sheet of images: a CSV table with a row an image, which sample it is of, its settings, and whatever else.

Every fault of it is found before anything is begun, in one line that names the row, as spreadsheets count them, and the
column.
"""

import csv
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from pyrodrop.workflows.batch.sources import Source
from pyrodrop.workflows.settings import SettingError

PATH, SAMPLE = "path", "sample"
# What the tables of a batch call columns of their own.
_TAKEN = re.compile(
    r"image|frame|state|folder|reason|id|presence|flags|(x|y|radius|sigma|diameter)_(px|um)(_.*)?|amplitude(_.*)?"
    r"|version|seed|device|width|height|n_droplets|background|noise|seconds|(count|sizes)_.*"
)


class _Cell(NamedTuple):
    """Where a cell of a sheet is, and what it says."""

    sheet: Path
    row: int
    column: str
    text: str

    def refuse(self, expected: str) -> NoReturn:
        """Raise the ``SettingError`` of this cell."""
        raise SettingError(f"sheet {self.sheet}, row {self.row}, column {self.column}: {self.text!r} is {expected}")


def _number(cell: _Cell, comma: bool) -> float:
    text = cell.text.replace(",", ".") if comma else cell.text
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        cell.refuse("no positive number")
    return value


def _word(*choices: str) -> Callable[[_Cell, bool], str]:
    def word(cell: _Cell, comma: bool) -> str:
        if choices and cell.text not in choices:
            cell.refuse(f"not one of {', '.join(choices)}")
        return cell.text

    return word


def _file(cell: _Cell, comma: bool) -> str:
    path = cell.sheet.parent / cell.text
    if not path.is_file():
        cell.refuse("no file; names are relative to the sheet")
    return os.path.abspath(path)


# Columns that are settings of an image, for each job; they go before those of the command.
_OF_ANY: dict[str, Callable[[_Cell, bool], Any]] = {
    "pixel_size_um": _number,
    "channel": _word(),
    "scale": _number,
    "white": _number,
}
SETTINGS: dict[str, dict[str, Callable[[_Cell, bool], Any]]] = {
    "measure": {
        **_OF_ANY,
        "mask": _file,
        "profile": _word(),
        "polarity": _word("bright", "dark", "both"),
        "border": _word("keep", "drop"),
    },
    "fit": _OF_ANY,
}


def read_sheet(path: str | os.PathLike[str], job: str) -> list[Source]:
    """The images of a sheet, in its order.

    Args:
        path: a CSV file with a header, separated by commas or, as where a comma is the decimal point, by semicolons.
            The column ``path`` names the images, relative to the sheet's folder; ``SETTINGS`` are settings, where
            a cell is empty those of the command; all others are carried into the tables.
        job: what is done to the images.

    Raises:
        SettingError: for each fault, with the row and the column that it is in.
    """
    sheet = Path(path)
    header, rows, comma = _cells(sheet)
    known = SETTINGS.get(job, {})
    others = {name for settings in SETTINGS.values() for name in settings} - known.keys()
    for name in header:
        if name in others:
            raise SettingError(f"sheet {sheet}, row 1: column {name} is no setting of {job}; leave it out")
        if name not in known and _TAKEN.fullmatch(name):
            raise SettingError(f"sheet {sheet}, row 1: the tables have a column {name} of their own; rename it")
    sources: list[Source] = []
    first: dict[str, int] = {}
    for number, row in rows:
        cells = {name: _Cell(sheet, number, name, text.strip()) for name, text in zip(header, row, strict=True)}
        image = cells.pop(PATH)
        absolute = os.path.abspath(sheet.parent / image.text)
        if not image.text or "\0" in image.text or not os.path.isfile(absolute):
            image.refuse("no file; names are relative to the sheet")
        if absolute in first:
            image.refuse(f"the image of row {first[absolute]}, too; name each once")
        first[absolute] = number
        settings = {name: known[name](cell, comma) for name, cell in cells.items() if name in known and cell.text}
        columns = {name: cell.text for name, cell in cells.items() if name not in known}
        sources.append(Source(absolute, image.text, settings, columns, f"sheet {sheet}, row {number}"))
    if not sources:
        raise SettingError(f"sheet {sheet} has no image; give a row for each")
    return sources


def _cells(sheet: Path) -> tuple[list[str], list[tuple[int, list[str]]], bool]:
    """The header, rows with their numbers, each as long as the header, and whether a comma is the decimal point."""
    try:
        text = sheet.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SettingError(f"sheet {sheet} cannot be read ({error.strerror}); check the name", "sheet") from None
    except UnicodeDecodeError:
        raise SettingError(f"sheet {sheet} is no text in UTF-8; save it as CSV in UTF-8", "sheet") from None
    line = text.partition("\n")[0]
    separator = max(",;\t", key=line.count)
    try:
        table = list(csv.reader(text.splitlines(keepends=True), delimiter=separator, strict=True))
    except csv.Error as error:
        raise SettingError(f"sheet {sheet} is no readable CSV ({error}); save it anew", "sheet") from None
    header = [name.strip() for name in table[0]] if table else []
    while header and not header[-1]:  # as spreadsheets leave behind what was deleted
        header.pop()
    if PATH not in header:
        has = f"it has {', '.join(header)}" if header else "it is empty"
        raise SettingError(f"sheet {sheet} has no column {PATH}, which names the images; {has}", "sheet")
    for name in header:
        if not name or header.count(name) > 1:
            what = f"column {name} is there twice" if name else "a column has no name"
            raise SettingError(f"sheet {sheet}, row 1: {what}; name each once", "sheet")
    rows = []
    for number, row in enumerate(table[1:], 2):
        if not any(cell.strip() for cell in row):
            continue
        if any(cell.strip() for cell in row[len(header) :]):
            raise SettingError(
                f"sheet {sheet}, row {number}: {len(row)} cells for {len(header)} columns; put text that holds a "
                f"{separator!r} into quotation marks",
                "sheet",
            )
        rows.append((number, [*row[: len(header)], *[""] * (len(header) - len(row))]))
    return header, rows, separator == ";"


def check_rows(
    sources: Sequence[Source], check: Callable[[Mapping[str, Any]], None], settings: Mapping[str, Any]
) -> None:
    """Check the settings of each row, with those of the command, as those of a job are; name the row of a fault."""
    checked = []
    for source in sources:
        if source.settings and source.settings not in checked:
            checked.append(source.settings)
            try:
                check({**settings, **source.settings})
            except SettingError as error:
                raise SettingError(f"{source.where}: {error}") from error
