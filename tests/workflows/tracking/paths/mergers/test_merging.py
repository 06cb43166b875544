"""Mergers: how often rims touch is what they are a share of."""

import numpy as np
import pandas as pd
import pytest

from pyrodrop.workflows.tracking.paths.detections import detections_of
from pyrodrop.workflows.tracking.paths.linking import Links, link
from pyrodrop.workflows.tracking.paths.mergers.merging import meetings, mergers
from pyrodrop.workflows.tracking.paths.process import Lives, PathProcess


def test_rims_that_overlap_touch_in_every_frame_and_those_far_apart_in_none() -> None:
    """So where droplets overlap and none merge, the share of mergers is learnt to be small."""
    frames = 10
    process = PathProcess(0.01, 0.0, 5.0, 0.01, 50.0, 1e-5, 1.0, 1.0, 1.0, np.zeros((frames, 2)))
    rows = [(t, x, 50.0, 5.0) for t in range(frames) for x in (20.0, 27.0, 80.0)]
    table = pd.DataFrame(rows, columns=["frame", "x_px", "y_px", "radius_px"])
    table = table.assign(x_px_sd=0.05, y_px_sd=0.05, radius_px_sd=0.05)
    detections = detections_of(table, (100, 100), frames)
    links = link(detections, process, Lives())
    assert meetings(detections, process, Lives(), links) == pytest.approx(frames - 1, abs=0.01)


def test_a_droplet_that_merges_twice_in_a_row_is_disentangled() -> None:
    """The filter, which knows of no jump, is wrong about the first product's radius when the second merger comes."""
    frames, first, second = 14, 6, 8
    radius = np.cbrt(np.cumsum(np.array([6.0, 5.5, 4.0]) ** 3))
    rows = []
    for t in range(frames):
        rows.append((t, 50.0, 50.0, radius[int(t >= first) + int(t >= second)]))
        rows += [(t, 59.0, 50.0, 5.5)] if t < first else []
        rows += [(t, 41.0, 50.0, 4.0)] if t < second else []
    table = pd.DataFrame(rows, columns=["frame", "x_px", "y_px", "radius_px"])
    detections = detections_of(table.assign(x_px_sd=0.1, y_px_sd=0.1, radius_px_sd=0.08), (100, 100), frames)
    process = PathProcess(1.0, 0.0, 5.0, 0.02, 20.0, 1e-5, 1.0, 1.0, 1.0, np.zeros((frames, 2)))
    before, after = np.full(len(rows), -1), np.full(len(rows), -1)
    for x in (41.0, 50.0, 59.0):
        path = np.flatnonzero(detections.x == x)
        after[path[:-1]], before[path[1:]] = path[1:], path[:-1]
    nothing = np.zeros(0, dtype=np.int64)
    found = mergers(detections, process, Lives(merging=0.3), Links(before, after, nothing, nothing))
    assert detections.frame[found.product].tolist() == [first, second]
    assert detections.x[found.second].tolist() == [59.0, 41.0]
    assert (found.probability > 0.99).all()
