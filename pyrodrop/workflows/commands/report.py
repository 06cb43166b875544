"""A page, regions for ImageJ and a label image written into a folder of results: ``pyrodrop report``."""

import os
from pathlib import Path
from typing import Any

from pyrodrop.results.exports.label_image import write_labels
from pyrodrop.results.exports.rois import write_rois
from pyrodrop.results.page.batch_report import write_batch_report
from pyrodrop.results.page.image_report import write_report
from pyrodrop.results.storage.batch_folder import read_batch
from pyrodrop.results.storage.result_folder import ResultError, is_results, read_results
from pyrodrop.results.storage.run_files import add_to_run
from pyrodrop.workflows.settings import SettingError

ROIS, LABELS = "rois.zip", "labels.tif"


def report(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Write ``report.html``, ``rois.zip`` and ``labels.tif`` into a folder of results.

    Args:
        folder: what ``pyrodrop fit`` or ``measure`` has written, or a folder of such folders; then each gets its
            own files, and the outer one the page of the batch.

    Returns:
        Where the files are. Of a batch: the page, how many images it shows and, by name of the folder, why
        something ``failed``. ``labels`` is left out where the size of the image is not known. ``warnings``
        says that the table is not the one that the run wrote.

    Raises:
        SettingError: if the folder holds no results, or cannot be written to.
    """
    path = Path(folder)
    try:
        if is_results(path):
            return take_home(path)
        batch = read_batch(path)
        failed: dict[str, str] = {}
        for name in batch.names:
            try:
                take_home(path / name)
            except (ResultError, OSError) as error:
                failed[name] = str(error)
        page = write_batch_report(path, failed)
    except ResultError as error:
        raise SettingError(str(error)) from error
    except OSError as error:
        raise SettingError(f"{path} cannot be written to ({error.strerror}); change its permissions") from error
    return {"report": str(page), "images": len(batch.names) - len(failed)} | ({"failed": failed} if failed else {})


def take_home(folder: Path) -> dict[str, Any]:
    """Write the files of one image; return where they are."""
    run = read_results(folder)
    paths = {"report": write_report(folder), "rois": folder / ROIS}
    write_rois(run.table, folder / ROIS)
    if run.size is not None:
        write_labels(run.table, run.size, folder / LABELS, run.pixel_size_um)
        paths["labels"] = folder / LABELS
    add_to_run(folder, [path.name for path in paths.values()])
    said: dict[str, Any] = {name: str(path) for name, path in paths.items()}
    return said | {"warnings": run.summary["warnings"]} if run.table_altered else said
