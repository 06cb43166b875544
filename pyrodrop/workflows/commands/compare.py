"""Folders of results pooled by sample, compared, and written into a folder: ``pyrodrop compare``."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pyrodrop.results.statistics.image_statistics import SampledImage
from pyrodrop.results.storage.batch_folder import images_of_batch, read_batch
from pyrodrop.results.storage.result_folder import ResultError, is_results
from pyrodrop.workflows.samples.compare import compare_images
from pyrodrop.workflows.samples.comparison import TABLES
from pyrodrop.workflows.samples.sampled_images import of_folder
from pyrodrop.workflows.settings import SettingError
from pyrodrop.workflows.taking_home import checked_wishes, write_tables

# The column of a sheet, and so of a batch's table, that says which sample an image is of.
SAMPLE = "sample"


def compare_folders(
    folders: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    names: Sequence[str] | None = None,
    seed: int = 0,
    xlsx: bool = False,
    decimal_comma: bool = False,
    figures: str | Sequence[str] | None = None,
) -> dict[str, Any]:
    """Compare the samples in folders of results, and write tables, figures and words into the folder ``out``.

    Args:
        folders: what ``measure`` or ``batch`` has written, of one image or of several. Each is a sample, but a batch of
            a sheet with a column ``sample``, which holds those that it names.
        out: the folder.
        names: of the samples, one a folder; folders of one name are one sample. The folder's own where not given.
        seed: of all randomness.
        xlsx: also write all tables as the sheets of a workbook, ``results.xlsx``.
        decimal_comma: write each table once more, as ``NAME-comma.csv``, with semicolons and decimal commas.
        figures: formats of the figures, png, svg or pdf; png where not given.

    Returns:
        The statistics that a person asks for first, by sample and by pair, warnings, and where the results are.

    Raises:
        SettingError: for folders without results, a folder given twice, another number of names than of folders,
            formats that are not known, and a workbook where openpyxl is not installed.
    """
    wishes = checked_wishes(xlsx, decimal_comma, figures or ("png",))
    if names is not None and len(names) != len(folders):
        raise SettingError(
            f"names are {len(names)} for {len(folders)} folders; give one a folder, and the same to folders of one "
            "sample",
            "names",
        )
    samples: dict[str, list[SampledImage]] = {}
    seen: dict[str, str] = {}
    for number, folder in enumerate(folders):
        path = Path(folder)
        if path.is_dir() and path.resolve() == Path(out).resolve():
            raise SettingError(f"out {out} is one of the folders that are compared; name another", "out")
        try:
            for sample, held, name in _images(path, None if names is None else names[number]):
                real = os.path.realpath(held)
                if real in seen:
                    raise SettingError(f"{held} is in sample {seen[real]} already; give each image once")
                seen[real] = sample
                samples.setdefault(sample, []).append(of_folder(held, name))
        except ResultError as error:
            raise SettingError(str(error)) from error
    compared = compare_images(samples, seed)
    written = compared.save(out, wishes.figures)
    write_tables(written, {Path(table).stem: table for table in TABLES}, wishes)
    summary = compared.summary()
    return {
        "samples": {
            name: {key: said[key] for key in ("images", "droplets", "number_per_area", "dn50", "d_3_2") if key in said}
            for name, said in summary["samples"].items()
        },
        "ratios": {
            f"{d['sample']} / {d['compared_with']}, {d['statistic']}": d["ratio"]
            | {"probability_larger": d["probability_larger"]}
            for d in summary["differences"]
            if d["statistic"] in ("number_per_area", "dn50", "d_3_2")
        },
        "unit": summary["unit"],
        "warnings": summary["warnings"],
        "results": str(written),
    }


def _images(folder: Path, name: str | None) -> Iterator[tuple[str, Path, str | None]]:
    """Sample, folder and name of each image of a folder of results; the sample's name may be given."""
    own = name if name is not None else folder.resolve().name
    if is_results(folder):
        yield own, folder, None
        return
    batch = read_batch(folder)
    of_sheet = {} if name is not None else _samples_of_sheet(folder)
    for held, image in batch.names.items():
        yield of_sheet.get(held) or own, folder / held, image or None


def _samples_of_sheet(folder: Path) -> dict[str, str]:
    """The sample of each image of a batch, by the folder of its results, where its sheet said so."""
    rows = images_of_batch(folder)
    return {Path(row["folder"]).name: row[SAMPLE] for row in rows if row.get(SAMPLE) and row.get("folder")}
