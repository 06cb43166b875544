"""One page for many images: a row each, with its count, its sizes and the way to its own report."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pandas as pd

from pyrodrop.results.figures.table_figures import size_figure
from pyrodrop.results.page.embedded_pictures import data_uri, encoded, thumbnail, with_circles
from pyrodrop.results.page.headline import Fact, count_fact, median_fact, sizes_of, warnings
from pyrodrop.results.page.html_page import page
from pyrodrop.results.page.image_report import REPORT, Figure
from pyrodrop.results.page.number_format import UNKNOWN, digits, parts_of, show, with_interval
from pyrodrop.results.storage.alterations import with_alterations
from pyrodrop.results.storage.atomic_write import atomic_write
from pyrodrop.results.storage.batch_folder import read_batch
from pyrodrop.results.storage.result_folder import ResultError, ResultFolder, read_results
from pyrodrop.results.storage.run_files import add_to_run

_FILES = {
    "droplets.csv": "the droplets of all images in one table",
    "summary.csv": "one row an image",
    "summary.json": "what was asked for, and what came of it",
}
_THUMBNAIL = 240
_BAR = (6.0, 114.0)  # from and to, of the 120 units that a bar's drawing is wide


class Cell(NamedTuple):
    """A number in the table: as text, its interval, what to sort by, and where its bar lies (dot, from, to)."""

    text: str
    interval: str = ""
    sort: str = ""
    bar: tuple[float, float, float] | None = None


class Row(NamedTuple):
    """One image of the batch."""

    name: str
    folder: str
    link: str
    thumbnail: str | None
    cells: list[Cell]
    warnings: Sequence[str]


def write_batch_report(folder: str | Path, failed: Mapping[str, str] | None = None) -> Path:
    """Write ``report.html`` into a folder whose folders hold results of one image each.

    Args:
        folder: what a batch has written, or any folder of such folders.
        failed: reasons by name of the folder, of results that are not to be shown; those that cannot be read are
            added to them.

    Returns:
        The path of the page.

    Raises:
        ResultError: if the folder holds nothing to show.
    """
    batch = read_batch(folder)
    reasons = dict(failed or {})
    runs = []
    for name, image in batch.names.items():
        if name in reasons:
            continue
        try:
            runs.append((image, with_alterations(read_results(batch.path / name))))
        except ResultError as error:
            reasons[name] = str(error)
    if not runs and not batch.failed:
        raise ResultError(next(iter(reasons.values())))
    text = batch_text(batch.path, runs, batch.failed | reasons)
    atomic_write(batch.path / REPORT, lambda temporary: temporary.write_text(text, encoding="utf-8", newline="\n"))
    add_to_run(batch.path, [REPORT])
    return batch.path / REPORT


def batch_text(path: Path, named: Sequence[tuple[str, ResultFolder]], failed: Mapping[str, str]) -> str:
    """The page of a batch as text, of results with the names of their images; "" leaves it to the results."""
    runs = [run for _, run in named]
    units = {bool(run.pixel_size_um) for run in runs}
    unit = "" if len(units) > 1 else "µm" if True in units else "px"
    heads = [("image", True), ("droplets", False), (f"median diameter{f', {unit}' if unit else ''}", False)]
    heads += [(f"Sauter mean{f', {unit}' if unit else ''}", False), ("reduced χ²", False), ("warnings", True)]
    # Bars on one scale would compare micrometres with pixels.
    scale = _scale([sizes_of(run).get("dn50") for run in runs]) if unit else None
    rows = [_row(name or run.name, run, unit, scale) for name, run in named]
    return page(
        "batch.html.j2",
        ("table.js", "images.js"),
        name=path.resolve().name,
        facts=_facts(runs, unit),
        images=rows,
        failed=sorted(failed.items()),
        warned=sum(bool(row.warnings) for row in rows),
        heads=heads,
        figures=[figure for figure in [_pooled(runs)] if figure],
        scale=f"{digits(scale[0])} to {digits(scale[1])} {unit}" if scale else "",
        files=[(name, meaning) for name, meaning in _FILES.items() if (path / name).is_file()],
        version=", ".join(sorted({str(run.summary.get("version", "")) for run in runs})),
    )


def _facts(runs: Sequence[ResultFolder], unit: str) -> list[Fact]:
    counted = [parts_of(run.summary.get("count")) for run in runs]
    total = sum(len(run.table) for run in runs)
    note = "sum over the images" + ("" if all(counted) else "; some were not counted")
    facts = [Fact("Images", show(float(len(runs)), 0)), Fact("Droplets", show(float(total), 0), note=note)]
    medians = [parts[0] for run in runs if (parts := parts_of(sizes_of(run).get("dn50")))]
    if unit and len(medians) > 1:
        ends = f"{digits(min(medians))} to {digits(max(medians))}"
        facts.append(Fact("Median diameters", ends, unit, note="the smallest and the largest of an image"))
    return facts


def _pooled(runs: Sequence[ResultFolder]) -> Figure | None:
    """The sizes of the droplets of all images; None where pixels and micrometres would be mixed."""
    sides = [run.pixel_size_um for run in runs]
    if not runs or (any(sides) and not all(sides)):
        return None
    names = ("radius_px", "radius_px_sd")
    if not all(name in run.table for run in runs for name in names):
        return None
    tables = [
        pd.DataFrame({name: run.table[name] * (side or 1.0) for name in names} | {"presence": run.table["presence"]})
        for run, side in zip(runs, sides, strict=True)
    ]
    drawn = size_figure(pd.concat(tables, ignore_index=True), 1.0 if all(sides) else None)
    if drawn is None:
        return None
    caption = "Share of the droplets by diameter, as if all images showed one population, with its 90 % band."
    return Figure(data_uri(drawn), "Histogram of the diameters of all images with its band.", caption)


def _row(name: str, run: ResultFolder, unit: str, scale: tuple[float, float] | None) -> Row:
    own_unit = "" if unit else " µm" if run.pixel_size_um else " px"
    sauter, reduced = sizes_of(run).get("d_3_2"), run.summary.get("reduced_chi_square")
    worst = max((value for value in (reduced if isinstance(reduced, list) else [reduced]) if value), default=None)
    count, median = count_fact(run), median_fact(run)
    parts = parts_of(sizes_of(run).get("dn50"))
    cells = [
        Cell(count.value, count.interval, _plain(run.summary.get("count"), float(len(run.table)))),
        Cell(
            median.value + own_unit,
            median.interval,
            _plain(sizes_of(run).get("dn50"), 2 * float(run.table["radius_px"].median()) * (run.pixel_size_um or 1)),
            _bar(parts, scale),
        ),
        Cell(
            with_interval(sauter).value + (own_unit if sauter else ""), with_interval(sauter).interval, _plain(sauter)
        ),
        Cell(UNKNOWN if worst is None else digits(worst), sort="" if worst is None else f"{worst:.6g}"),
    ]
    return Row(name, run.path.name, f"{quote(run.path.name)}/{REPORT}", _small(run), cells, warnings(run) or ())


def _small(run: ResultFolder) -> str | None:
    image = run.image()
    if image is not None:
        return encoded(with_circles(image, run.table, _THUMBNAIL))
    overlay = None if run.table_altered else run.file("overlay.png")
    return None if overlay is None else thumbnail(overlay, _THUMBNAIL)


def _plain(estimate: Any, otherwise: float | None = None) -> str:
    """What to sort by."""
    parts = parts_of(estimate)
    value = otherwise if parts is None else parts[0]
    return "" if value is None or value != value else f"{value:.9g}"


def _scale(estimates: Sequence[Any]) -> tuple[float, float] | None:
    known = [parts for parts in map(parts_of, estimates) if parts is not None]
    ends = [value for parts in known for value in parts if value is not None]
    return (min(ends), max(ends)) if len(known) > 1 and max(ends) > min(ends) else None


def _bar(
    parts: tuple[float, float | None, float | None] | None, scale: tuple[float, float] | None
) -> tuple[float, float, float] | None:
    if parts is None or scale is None:
        return None
    mean, low, high = parts

    def place(value: float) -> float:
        return round(_BAR[0] + (value - scale[0]) / (scale[1] - scale[0]) * (_BAR[1] - _BAR[0]), 2)

    return place(mean), place(mean if low is None else low), place(mean if high is None else high)
