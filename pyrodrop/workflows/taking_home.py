"""What is asked for beside a report: a workbook, tables with decimal commas, and figures for print."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from pyrodrop.results.exports.spreadsheet import can_write_workbooks, write_with_commas, write_workbook
from pyrodrop.results.figures import fit_figures, size_figures
from pyrodrop.results.figures.scaled_overlay import scaled_overlay
from pyrodrop.results.figures.table_figures import table_histogram
from pyrodrop.results.statistics.histogram import SizeHistogram
from pyrodrop.results.storage.file_writers import write_figure, write_table
from pyrodrop.results.storage.result_folder import ResultFolder
from pyrodrop.results.storage.run_files import add_to_run
from pyrodrop.workflows.settings import SettingError

FORMATS = ("png", "svg", "pdf")
HISTOGRAM, WORKBOOK = "histogram.csv", "results.xlsx"


class Wishes(NamedTuple):
    """What is asked for.

    xlsx: a workbook with a sheet for each table. decimal_comma: each table once more with semicolons and decimal
    commas. figures: formats of the figures, of ``FORMATS``.
    """

    xlsx: bool = False
    decimal_comma: bool = False
    figures: tuple[str, ...] = ()


NOTHING_MORE = Wishes()


def checked_wishes(xlsx: bool, decimal_comma: bool, figures: str | Sequence[str] | None) -> Wishes:
    """The wishes of a caller.

    Args:
        xlsx, decimal_comma: as in ``Wishes``.
        figures: formats, or words such as "svg,pdf".

    Raises:
        SettingError: for a format that is not known, and a workbook where openpyxl is not installed.
    """
    words = figures.split(",") if isinstance(figures, str) else list(figures or ())
    formats = tuple(dict.fromkeys(word.strip().lower() for word in words))
    for word in formats:
        if word not in FORMATS:
            raise SettingError(f"figures is {word!r}, expected formats of {', '.join(FORMATS)}, as svg,pdf", "figures")
    if xlsx and not can_write_workbooks():
        raise SettingError("xlsx needs openpyxl, which is not installed; pip install 'pyrodrop[xlsx]'", "xlsx")
    return Wishes(xlsx, decimal_comma, formats)


def write_tables(folder: Path, tables: dict[str, str], wishes: Wishes) -> dict[str, Path]:
    """Write a folder's tables as a workbook and with decimal commas, as asked for; return where they are.

    Args:
        folder: of the tables.
        tables: names of their files by the names of their sheets; those that are not there are left out.
        wishes: what is asked for.
    """
    there = {sheet: folder / name for sheet, name in tables.items() if (folder / name).is_file()}
    written: dict[str, Path] = {}
    if wishes.xlsx:
        write_workbook(there, folder / WORKBOOK)
        written["workbook"] = folder / WORKBOOK
    if wishes.decimal_comma:
        for table in there.values():
            path = folder / f"{table.stem}-comma.csv"
            write_with_commas(table, path)
            written[path.name] = path
    add_to_run(folder, [path.name for path in written.values()])
    return written


def write_of_image(run: ResultFolder, wishes: Wishes) -> dict[str, Path]:
    """The histogram of an image as numbers, and what is asked for of it; return where the files are."""
    folder = run.path
    written: dict[str, Path] = {}
    binned = table_histogram(run.table, run.pixel_size_um)
    if binned is not None:
        write_table(_of_bins(binned), folder / HISTOGRAM)
        written["histogram"] = folder / HISTOGRAM
    image = run.image()
    for suffix in wishes.figures:
        if image is not None:
            path = folder / f"overlay-full.{suffix}"
            write_figure(scaled_overlay(image, run.table, run.pixel_size_um), path)
            written[path.name] = path
        if binned is not None:
            figure, axes = fit_figures.figure()
            size_figures.histogram(axes[0], binned)
            path = folder / f"distribution.{suffix}"
            write_figure(figure, path)
            written[path.name] = path
    add_to_run(folder, [path.name for path in written.values()])
    return written | write_tables(folder, {"droplets": "droplets.csv", "histogram": HISTOGRAM}, wishes)


def _of_bins(binned: SizeHistogram) -> pd.DataFrame:
    """A row a bin: its ends, the share of the droplets in it, and the band of that."""
    ends = {f"from_{binned.unit}": binned.edges[:-1], f"to_{binned.unit}": binned.edges[1:]}
    share = {"share": binned.share, "share_q05": binned.q05, "share_q95": binned.q95}
    return pd.DataFrame(ends | share | {"expected": np.round(binned.expected * binned.share, 6)})
