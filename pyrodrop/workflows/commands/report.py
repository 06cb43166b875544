"""A page, regions for ImageJ and a label image written into a folder of results: ``pyrodrop report``."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pyrodrop.results.exports.label_image import write_labels
from pyrodrop.results.exports.rois import write_rois
from pyrodrop.results.page.batch_report import write_batch_report
from pyrodrop.results.page.image_report import write_page
from pyrodrop.results.storage.alterations import alterations, with_alterations
from pyrodrop.results.storage.batch_folder import read_batch
from pyrodrop.results.storage.result_folder import ResultError, is_results, read_results
from pyrodrop.results.storage.run_files import add_to_run, is_altered
from pyrodrop.workflows.settings import SettingError
from pyrodrop.workflows.taking_home import NOTHING_MORE, Wishes, checked_wishes, write_of_image, write_tables

ROIS, LABELS = "rois.zip", "labels.tif"
# By the name of its sheet, each table of a batch.
_OF_A_BATCH = {
    "droplets": "droplets.csv",
    "images": "summary.csv",
    "samples": "samples/samples.csv",
    "differences": "samples/differences.csv",
}


def report(
    folder: str | os.PathLike[str],
    *,
    xlsx: bool = False,
    decimal_comma: bool = False,
    figures: str | Sequence[str] | None = None,
) -> dict[str, Any]:
    """Write ``report.html``, ``rois.zip``, ``labels.tif`` and ``histogram.csv`` into a folder of results.

    Args:
        folder: what ``pyrodrop fit`` or ``measure`` has written, or a folder of such folders; then each gets its
            own files, and the outer one the page of the batch.
        xlsx: also write a workbook, ``results.xlsx``: of an image with its droplets and their histogram, of a batch
            with droplets, images and, where a sheet named them, samples.
        decimal_comma: write each of these tables once more, as ``NAME-comma.csv``, with semicolons and decimal commas.
        figures: formats, png, svg or pdf, in which to write, of each image, ``overlay-full``: at full resolution, with
            a scale bar where the size of a pixel is known, and the ``distribution`` of sizes.

    Returns:
        Where the files are. Of a batch: the page, how many images it shows and, by name of the folder, why
        something ``failed``. ``labels`` is left out where the size of the image is not known. ``warnings``
        says what another program has changed in the folder since the run wrote it.

    Raises:
        SettingError: if the folder holds no results, or cannot be written to, for formats that are not known, and for
            a workbook where openpyxl is not installed.
    """
    path = Path(folder)
    wishes = checked_wishes(xlsx, decimal_comma, figures)
    try:
        if is_results(path):
            return take_home(path, wishes)
        batch = read_batch(path)
        failed: dict[str, str] = {}
        for name in batch.names:
            try:
                take_home(path / name, wishes._replace(xlsx=False, decimal_comma=False))
            except (ResultError, OSError) as error:
                failed[name] = str(error)
        changed = alterations(path)
        page = write_batch_report(path, failed)
        tables = write_tables(path, _OF_A_BATCH, wishes)
    except ResultError as error:
        raise SettingError(str(error)) from error
    except OSError as error:
        raise SettingError(f"{path} cannot be written to ({error.strerror}); change its permissions") from error
    told: dict[str, Any] = {"report": str(page), "images": len(batch.names) - len(failed)}
    told |= {name: str(table) for name, table in tables.items()}
    told |= {"warnings": changed} if changed else {}
    return told | ({"failed": failed} if failed else {})


def take_home(folder: Path, wishes: Wishes = NOTHING_MORE) -> dict[str, Any]:
    """Write the files of one image; return where they are."""
    as_read = read_results(folder)
    run = with_alterations(as_read)
    paths = {"report": write_page(run), "rois": folder / ROIS}
    write_rois(run.table, folder / ROIS)
    if run.size is not None:
        write_labels(run.table, run.size, folder / LABELS, run.pixel_size_um)
        paths["labels"] = folder / LABELS
    add_to_run(folder, [path.name for path in paths.values()])
    paths |= write_of_image(run, wishes)
    said: dict[str, Any] = {name: str(path) for name, path in paths.items()}
    altered = run.table_altered or is_altered(folder, "summary.json") or run is not as_read
    return said | {"warnings": run.summary["warnings"]} if altered else said
