"""Points that a person has changed against the droplets that they were: what ``pyrodrop edit`` is to be told.

napari's own tools add, delete and drag points; so the points themselves say what was corrected, and an edit is what
they differ in from the table. Does not import napari.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pyrodrop.results.statistics.counts import Count, count_distribution
from pyrodrop.results.statistics.unfitted import NONE_UNFITTED, Unfitted
from pyrodrop.results.storage.atomic_write import atomic_write
from pyrodrop.results.storage.run_files import digest_of

Array = NDArray[np.float64]

NEW = -1  # the id of a point that is none of the table's
# A point that was dragged or resized by less than this, px, was not: napari keeps some numbers in single precision.
_MOVED = 0.01


class Points(NamedTuple):
    """Circles as a layer of points has them, N of them.

    centres: row and column in px, (N, 2). diameters: px, (N,). ids: of the droplets that they were, ``NEW`` for none,
    (N,). presence: the probability of each, 1 for what a person has said, (N,).
    """

    centres: Array
    diameters: Array
    ids: NDArray[np.int64]
    presence: Array

    @classmethod
    def of_table(cls, table: pd.DataFrame) -> "Points":
        """Of a table of droplets."""
        presence = table["presence"].to_numpy(np.float64) if "presence" in table else np.ones(len(table))
        return cls(
            table[["y_px", "x_px"]].to_numpy(np.float64),
            2 * table["radius_px"].to_numpy(np.float64),
            table["id"].to_numpy(np.int64),
            presence,
        )


class Kept(NamedTuple):
    """Which points count: of at least this presence, and of radii within these limits in px."""

    least_presence: float = 0.0
    least_radius: float = 0.0
    greatest_radius: float = np.inf

    def of(self, points: Points) -> NDArray[np.bool_]:
        """Which of the points are kept, (N,)."""
        radius = points.diameters / 2
        return (
            (points.presence >= self.least_presence) & (radius >= self.least_radius) & (radius <= self.greatest_radius)
        )

    def of_unfitted(self, unfitted: Unfitted) -> Unfitted:
        """What is too improbable to be a candidate, of which no radius is known: it counts where none is asked for."""
        any_radius = self.least_radius <= 0 and self.greatest_radius == np.inf
        return unfitted if any_radius and unfitted.presence >= self.least_presence else NONE_UNFITTED


def edits_between(before: Points, now: Points) -> dict[str, Any]:
    """The edits that make of the droplets as they were the points as they are, as ``pyrodrop edit`` takes them.

    A point without an id, and the second of two with one id, as pasting makes, is added. What was moved or resized is
    moved; what has disappeared is removed; what a person has made certain and left in its place is kept.

    Args:
        before: the droplets.
        now: the points; ids that no droplet has count as none.
    """
    index = {int(number): k for k, number in enumerate(before.ids)}
    edits: dict[str, Any] = {"remove": [], "add": [], "move": {}, "keep": []}
    seen: set[int] = set()
    for k, number in enumerate(now.ids.tolist()):
        y, x = (float(value) for value in now.centres[k])
        circle = [round(value, 4) for value in (x, y, float(now.diameters[k]) / 2)]
        if number not in index or number in seen:
            edits["add"].append(circle)
            continue
        seen.add(number)
        old = index[number]
        apart = np.abs(np.append(now.centres[k] - before.centres[old], (now.diameters[k] - before.diameters[old]) / 2))
        if apart.max() > _MOVED:
            edits["move"][str(number)] = circle
        elif now.presence[k] == 1 > before.presence[old]:
            edits["keep"].append(number)
    edits["remove"] = [number for number in index if number not in seen]
    return {kind: said for kind, said in edits.items() if said}


def number_of(edits: Mapping[str, Any]) -> int:
    """How many edits there are."""
    return sum(len(said) for said in edits.values())


def count_of(
    before: Points,
    now: Points,
    kept: NDArray[np.bool_],
    shared_doubt: float,
    others: Array | None = None,
    unfitted: Unfitted = NONE_UNFITTED,
) -> Count:
    """The number of droplets of those points that are kept and of other candidates, as the page of results counts them.

    What a person has drawn, moved or made certain is there for sure, and shares no doubt with others.

    Args:
        before: the droplets.
        now: the points.
        kept: which of them count, (N,).
        shared_doubt: as ``summary.json`` has it.
        others: presence of candidates that are no points, (M,); None for none.
        unfitted: what is too improbable to be a candidate.
    """
    said = edits_between(before, now)
    moved = np.isin(now.ids, [int(number) for number in said.get("move", {})])
    new = ~np.isin(now.ids, before.ids)
    presence = np.where(moved | new, 1.0, np.clip(now.presence, 0.0, 1.0))
    return count_distribution(np.append(presence[kept], [] if others is None else others), shared_doubt, unfitted)


def write_edits(edits: Mapping[str, Any], folder: Path, path: Path) -> None:
    """Write a file that ``pyrodrop edit`` takes, whole or not at all.

    Args:
        edits: what ``edits_between`` says.
        folder: the results that they are of, whose droplets the file names by the digest of their table.
        path: of the file.
    """
    digest = digest_of(folder, "droplets.csv")
    said = dict(edits) | ({} if digest is None else {"droplets_sha256": digest})
    atomic_write(path, lambda part: part.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8"))
