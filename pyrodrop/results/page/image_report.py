"""One page with the results of one image, in one file: to be handed on, opened anywhere, printed."""

from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple

from pyrodrop.results.figures.table_figures import size_figure
from pyrodrop.results.page.by_hand import can_be_edited, counting
from pyrodrop.results.page.channel_rows import channel_rows
from pyrodrop.results.page.droplet_rows import first_rows, flag_counts, page_columns
from pyrodrop.results.page.embedded_pictures import data_uri
from pyrodrop.results.page.headline import facts, sizes_of, trust, unit_of, warnings
from pyrodrop.results.page.html_page import as_data, page
from pyrodrop.results.page.image_view import views
from pyrodrop.results.page.kind_rows import kind_rows
from pyrodrop.results.page.method_text import method_text, radius_meaning
from pyrodrop.results.page.number_format import decimals_for, flattened, parts_of, show
from pyrodrop.results.statistics.sizes import STATISTICS
from pyrodrop.results.storage.alterations import with_alterations
from pyrodrop.results.storage.atomic_write import atomic_write
from pyrodrop.results.storage.result_folder import ResultFolder, read_results
from pyrodrop.results.storage.run_files import add_to_run
from pyrodrop.results.tables.flags import FLAGS

REPORT = "report.html"


class Figure(NamedTuple):
    """A picture that a page shows: its data URI, what it shows in words, and its caption."""

    uri: str
    alt: str
    caption: str


# Files of figures, what they show to someone who cannot see them, and their captions.
_OVERLAY = ("overlay.png", "The image with a circle around every droplet.", "Each circle has the droplet's radius.")
_RESIDUAL = (
    "residual.png",
    "Map of the residual over the image.",
    "Image less model, in units of the noise. Where the model fits, only noise without structure is left.",
)
_SIZES = (
    "sizes.png",
    "Histogram of the droplets' diameters with its band.",
    "Share of the droplets by diameter; the band holds the population's share of each bin with 90 %.",
)
_COUNT = (
    "count.png",
    "Probability of each number of droplets.",
    "How many droplets there are: the probability of each number.",
)
_FURTHER = (
    (
        "prediction.png",
        "Three panels: prediction, difference and the image.",
        "What the model says, how far the image is from it, and the image.",
    ),
    ("amplitudes.png", "Histogram of the droplets' amplitudes.", "Amplitudes of all droplets over several draws."),
    ("loss.png", "The loss of every iteration.", "The loss of the fit by iteration."),
)


def write_report(folder: str | Path) -> Path:
    """Write ``report.html`` into a folder that a fit or a measurement has written.

    What the folder does not hold is left out of the page. The regions for ImageJ and the label image, which
    ``pyrodrop report`` also writes, are made by ``pyrodrop.workflows.commands.report.report``.

    Args:
        folder: a folder with ``droplets.csv`` and ``summary.json``, as ``pyrodrop measure`` and ``pyrodrop fit`` write
            them.

    Returns:
        The path of the page.

    Raises:
        ResultError: if the folder holds no results, or damaged ones.

    Example:
        >>> import tempfile, pyrodrop
        >>> from pyrodrop.workflows.commands.measure import measure_image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     summary = measure_image(None, folder, profile="gaussian", progress=False)
        ...     page = pyrodrop.write_report(folder)
        >>> page.name
        'report.html'
    """
    return write_page(with_alterations(read_results(folder)))


def write_page(run: ResultFolder) -> Path:
    """Write ``report.html`` of results that were read; return its path."""
    text = report_text(run)
    path = run.path / REPORT
    atomic_write(path, lambda temporary: temporary.write_text(text, encoding="utf-8", newline="\n"))
    add_to_run(run.path, [REPORT])
    return path


def report_text(run: ResultFolder) -> str:
    """The page of one image as text."""
    columns = page_columns(run.table, run.pixel_size_um)
    seen = views(run)
    data = {
        "columns": [{name: getattr(c, name) for name in ("name", "label", "unit", "decimals")} for c in columns],
        "values": [c.values for c in columns],
        "counting": counting(run),
    }
    return page(
        "report.html.j2",
        ("table.js", "count.js", "droplets.js", "editing.js"),
        run=run,
        editable=bool(seen) and data["counting"] is not None and can_be_edited(run),
        folder=quote(run.path.resolve().name),
        largest=f"{2 * float(run.table['radius_px'].max()) * (run.pixel_size_um or 1.0) if len(run.table) else 1:.4g}",
        subtitle=subtitle(run),
        facts=facts(run),
        trust=trust(run),
        warnings=warnings(run),
        views=seen,
        overlay_figure=None if seen else figure(run, *_OVERLAY),
        residual=None if seen and seen.residual else figure(run, *_RESIDUAL),
        radius=radius_meaning(run.summary),
        method=method_text(run),
        sizes=figure(run, *_SIZES) or _sizes(run),
        count=_count(run),
        further=[further for name in _FURTHER if (further := figure(run, *name))],
        statistics=statistics(run),
        kinds=kind_rows(run),
        channels=channel_rows(run),
        unit=unit_of(run),
        pixel_size=f"{run.pixel_size_um:.6g}" if run.pixel_size_um else "",
        columns=columns,
        first_rows=first_rows(columns),
        n_rows=len(run.table),
        flag_counts=flag_counts(run.table),
        flag_meanings={name: meaning for name, (meaning, _) in FLAGS.items()},
        data=as_data(data),
        settings=settings(run.summary),
    )


def subtitle(run: ResultFolder) -> list[str]:
    """What was looked at: channel, size, size of a pixel, profile."""
    parts = []
    if run.summary.get("channel"):
        parts.append(f"channel {run.summary['channel']}")
    if run.size:
        parts.append(f"{run.size[1]} × {run.size[0]} px")
    parts.append(f"{run.pixel_size_um:.6g} µm per px" if run.pixel_size_um else "size of a pixel not known")
    if run.summary.get("profile"):
        parts.append(f"profile {run.summary['profile']}")
    return parts


def statistics(run: ResultFolder) -> list[dict[str, str]]:
    """All statistics of the size distribution in words."""
    rows = []
    for name, estimate in sizes_of(run).items():
        parts = parts_of(estimate)
        if parts is None:
            continue
        mean, low, high = parts
        decimals = decimals_for(None if low is None or high is None else high - low, mean)
        meaning = STATISTICS.get(name, "")
        rows.append(
            {"name": name, "meaning": meaning}
            | {end: show(value, decimals) for end, value in (("mean", mean), ("q05", low), ("q95", high))}
        )
    return rows


def settings(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """All that the summary says and the page has not said yet."""
    told = ("count", "kinds", "other_channels", "sizes", "trust", "warnings")
    said = {name: value for name, value in summary.items() if name not in told}
    if isinstance(said.get("edits"), Mapping):  # which edits.csv lists
        said["edits"] = {kind: number for kind, number in said["edits"].items() if kind != "list"}
    efficiency = said.get("efficiency")
    if isinstance(efficiency, Mapping):  # where the parts are is in the warnings, or in the summary's own words
        said["efficiency"] = {
            name: f"{len(value)} part{'' if len(value) == 1 else 's'}" if isinstance(value, list) else value
            for name, value in efficiency.items()
        }
    return flattened(said)


def figure(run: ResultFolder, name: str, alt: str, caption: str) -> Figure | None:
    """A figure of the folder; None where it is missing, or was drawn of other droplets than those of the table."""
    path = None if run.table_altered else run.file(name)
    return None if path is None else Figure(data_uri(path.read_bytes()), alt, caption)


def _sizes(run: ResultFolder) -> Figure | None:
    """The size distribution of the droplets in the table."""
    drawn = size_figure(run.table, run.pixel_size_um)
    return None if drawn is None else Figure(data_uri(drawn), _SIZES[1], f"{_SIZES[2]} Made from the table.")


def _count(run: ResultFolder) -> Figure | None:
    """The distribution of the number, where droplets were counted and their number is not certain."""
    parts = parts_of(run.summary.get("count"))
    if parts is None or parts[1] == parts[2]:
        return None
    return figure(run, *_COUNT)
