"""One page with the droplets of a stack through time: a slider over the frames, tracks drawn on them, and curves."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pyrodrop.results.page.embedded_pictures import data_uri
from pyrodrop.results.page.headline import Fact
from pyrodrop.results.page.html_page import as_data, page
from pyrodrop.results.page.number_format import digits, with_interval
from pyrodrop.results.storage.atomic_write import atomic_write

TRACK_REPORT = "report.html"
_FIGURES = (
    ("population.png", "Number, mean radius and D[3,2] of the droplets against time.", "Bands hold 90 %."),
    ("rates.png", "Rates dr/dt of all tracks, sorted, each with its interval.", "How fast each droplet grows."),
    ("tracks.png", "The ways of all tracks.", "Where the droplets went, coloured by frame."),
)
# Events that the page lists: more of them are in events.csv.
_MOST_EVENTS = 500


def write_track_report(
    folder: Path,
    summary: Mapping[str, Any],
    table: pd.DataFrame,
    events: pd.DataFrame,
    pictures: Mapping[int, str],
) -> Path:
    """Write ``report.html`` into a folder of tracks.

    Args:
        folder: where its figures are.
        summary: what ``summary.json`` says.
        table, events: as ``tracks.csv`` and ``events.csv`` hold them.
        pictures: data URIs of frames, by their number; not all frames need one.
    """
    shown = [
        {"uri": data_uri((folder / name).read_bytes()), "alt": alt, "caption": caption}
        for name, alt, caption in _FIGURES
        if (folder / name).is_file()
    ]
    listed = events.head(_MOST_EVENTS)
    rows: Iterable[Any] = listed.itertuples(index=False)
    text = page(
        "tracks.html.j2",
        ("tracks.js",),
        name=Path(str(summary.get("image", "stack"))).name,
        summary=summary,
        facts=_facts(summary),
        missing=dict(summary.get("unreadable_frames") or {}),
        data=as_data(_tracks_as_data(table, pictures)),
        width=int(summary["width"]),
        height=int(summary["height"]),
        frames=int(summary["frames"]),
        figures=shown,
        events=[
            {
                "frame": int(row.frame),
                "event": row.event,
                "track": int(row.track),
                "others": str(row.others),
                "radius": f"{row.radius_px:.2f}",
                "probability": f"{row.probability:.3f}",
            }
            for row in rows
        ],
        events_left=len(events) - len(listed),
    )
    path = folder / TRACK_REPORT
    atomic_write(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    return path


def _facts(summary: Mapping[str, Any]) -> list[Fact]:
    process, interval, pixel = summary["process"], summary.get("interval_s"), summary.get("pixel_size_um")
    facts = [Fact("tracks", str(summary["n_tracks"])), Fact("frames", str(summary["frames"]))]
    unit, factor = "px² a frame", 1.0
    if interval is not None and pixel is not None:
        unit, factor = "µm²/s", pixel**2 / interval
    facts.append(Fact("diffusion", digits(process["diffusion"] * factor), unit=unit))
    coarse = summary.get("coarsening") or {}
    exponent = with_interval(coarse.get("exponent"))
    if coarse.get("exponent"):
        facts.append(Fact("exponent of growth", exponent.value, interval=exponent.interval))
    mergers = summary["events"].get("merged from", 0)
    facts.append(Fact("mergers", str(mergers)))
    return facts


def _tracks_as_data(table: pd.DataFrame, pictures: Mapping[int, str]) -> dict[str, Any]:
    """What the page's script draws: of each track its first frame, and x, y and radius in tenths of a px."""
    ordered = table.sort_values(["track", "frame"])
    numbers = np.round(10 * ordered[["x_px", "y_px", "radius_px"]].to_numpy()).astype(int)
    track, frame = ordered["track"].to_numpy(), ordered["frame"].to_numpy()
    begins = np.flatnonzero(np.diff(track, prepend=-1))
    ends = np.append(begins[1:], len(track))
    tracks = [
        [int(frame[low]), *(numbers[low:high, axis].tolist() for axis in range(3))]
        for low, high in zip(begins, ends, strict=True)
    ]
    return {"tracks": tracks, "pictures": {str(number): uri for number, uri in pictures.items()}}
