"""A stack backwards in time: what is true of beginnings and splits there is true of ends and mergers here."""

from typing import Any

import numpy as np

from pyrodrop.workflows.tracking.paths.detections import Detections
from pyrodrop.workflows.tracking.paths.linking import Links, Numbers
from pyrodrop.workflows.tracking.paths.process import PathProcess


def reversed_in_time(
    detections: Detections, process: PathProcess, links: Links
) -> tuple[Detections, PathProcess, Links]:
    """All of it backwards in time; detection n becomes N - 1 - n."""
    last, n = detections.frames - 1, len(detections.frame)
    columns: dict[str, Any] = {
        name: value[::-1].copy()
        for name, value in detections._asdict().items()
        if isinstance(value, np.ndarray) and name not in ("readable", "frame")
    }
    turned = detections._replace(
        **columns, frame=last - detections.frame[::-1], readable=last - detections.readable[::-1]
    )
    drift = np.zeros_like(process.drift)
    drift[:-1] = -process.drift[:-1][::-1]

    def other(numbers: Numbers) -> Numbers:
        return np.asarray(np.where(numbers >= 0, n - 1 - numbers, -1))

    heads, tails = other(links.tails), other(links.heads)
    order = np.lexsort((tails, heads))
    back = Links(other(links.after[::-1]), other(links.before[::-1]), heads[order], tails[order])
    return turned, process._replace(drift=drift), back
