"""What became of droplets, and where they came from: the beginnings and ends of paths, each with its probability."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Int
from numpy.typing import NDArray

from pyrodrop.workflows.tracking.paths.following import Followed
from pyrodrop.workflows.tracking.paths.mergers.merging import Mergers
from pyrodrop.workflows.tracking.paths.unseen import ends_and_begins, unseen_tables

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
Numbers = NDArray[np.int64]

COLUMNS = ("frame", "event", "track", "others", "x_px", "y_px", "radius_px", "probability")
ENTERED, NUCLEATED, LEFT, DISSOLVED = "entered", "nucleated", "left", "dissolved"
MERGED, SPLIT = "merged from", "split into"


def events(followed: Followed, track: Int[Numbers, " n"], kept: Bool[NDArray[np.bool_], " n"]) -> "pd.DataFrame":
    """A row an event, in the order of time.

    A path that begins or ends within the stack has the event that is more probable: over the edge of the image, or
    within it. One that was there before the first frame, or may go on after the last, has none; so the probability is
    less than 1 where that, or a link, is possible, too.

    Args:
        followed: the droplets that were followed.
        track: number of each detection's path, (N,).
        kept: detections of paths that count, (N,).

    Returns:
        A frame of frame, event, track, others (numbers of other tracks, separated by blanks), x_px, y_px, radius_px
        and probability. ``merged from`` is an event of what came of it, ``split into`` of what it came from.
    """
    import pandas as pd

    detections, links = followed.detections, followed.links
    real = 1 - followed.posterior.spurious
    ends, begins = _edges(followed)
    before = np.bincount(followed.posterior.tails, followed.posterior.probability, len(track))
    after = np.bincount(followed.posterior.heads, followed.posterior.probability, len(track))
    told_begin = np.concatenate([followed.joined.product, followed.parted.first, followed.parted.second])
    told_end = np.concatenate([followed.joined.first, followed.joined.second, followed.parted.product])
    rows: list[dict[str, object]] = []

    def row(n: int, event: str, probability: float, others: str = "") -> None:
        where = {name: float(getattr(detections, name)[n]) for name in ("x", "y", "radius")}
        numbers = {f"{name}_px": value for name, value in where.items()}
        rows.append(
            {"frame": int(detections.frame[n]), "event": event, "track": int(track[n]), "others": others}
            | numbers
            | {"probability": probability}
        )

    for linked, (beyond, within), told, sum_of, names in (
        (links.before, begins, told_begin, before, (ENTERED, NUCLEATED)),
        (links.after, ends, told_end, after, (LEFT, DISSOLVED)),
    ):
        for n in np.setdiff1d(np.flatnonzero((linked < 0) & kept), told).tolist():
            none = max(1 - sum_of[n], 0.0) * real[n]
            kinds = (beyond[n] * none, within[n] * none)
            best = int(np.argmax(kinds))
            if kinds[best] > 1 - none + (1 - beyond[n] - within[n]) * none:
                row(n, names[best], float(kinds[best]))
    for event, found in ((MERGED, followed.joined), (SPLIT, followed.parted)):
        for first, second, product, probability in _kept(found, kept):
            row(product, event, probability, f"{track[first]} {track[second]}")
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.sort_values(["frame", "track"], kind="stable", ignore_index=True)


def _kept(found: Mergers, kept: NDArray[np.bool_]) -> list[tuple[int, int, int, float]]:
    every = zip(*(column.tolist() for column in found), strict=True)
    return [(a, b, c, p) for a, b, c, p in every if kept[a] and kept[b] and kept[c]]


def _edges(followed: Followed) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Probabilities that a path which ends at each detection does so over the edge, and within, (N,); and likewise of
    one that begins.
    """
    detections, process, lives = followed.detections, followed.process, followed.lives
    both = ends_and_begins(detections, process, unseen_tables(detections, process, lives))
    lasting = lives._replace(vanishing=0.0, appearing=0.0)
    edge = ends_and_begins(detections, process, unseen_tables(detections, process, lasting))
    number, found = len(detections.readable), []
    for whole, over, further in zip(both, edge, (number - 1 - detections.ordinal, detections.ordinal), strict=True):
        # a droplet may be there, and undetected, to the last frame
        never = (1 - lives.detected) ** further.astype(float)
        beyond = np.clip((np.exp(over) - never) / np.exp(whole), 0, 1)
        found.append((beyond, np.clip(1 - np.exp(over - whole), 0, 1)))
    return found[0], found[1]
