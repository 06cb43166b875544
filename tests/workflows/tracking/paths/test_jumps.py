"""Radii that jump are told from those that change steadily."""

import numpy as np
import pandas as pd

from pyrodrop.workflows.tracking.paths.detections import detections_of
from pyrodrop.workflows.tracking.paths.jumps import jumps, without_jumps
from pyrodrop.workflows.tracking.paths.linking import Links
from pyrodrop.workflows.tracking.paths.process import Lives, PathProcess


def test_a_radius_jumps_once_and_begins_anew() -> None:
    frames, at = 12, 5
    rng = np.random.default_rng(0)
    steady = 6.0 + 0.02 * np.arange(frames) + 0.05 * rng.standard_normal(frames)
    jumping = np.where(np.arange(frames) < at, 5.0, 6.5) + 0.05 * rng.standard_normal(frames)
    rows = [(t, x, 50.0, r[t]) for t in range(frames) for x, r in ((20.0, steady), (80.0, jumping))]
    table = pd.DataFrame(rows, columns=["frame", "x_px", "y_px", "radius_px"])
    detections = detections_of(table.assign(x_px_sd=0.1, y_px_sd=0.1, radius_px_sd=0.05), (100, 100), frames)
    process = PathProcess(0.1, 0.0, 5.0, 0.02, 20.0, 1e-5, 1.0, 1.0, 1.0, np.zeros((frames, 2)))
    n = len(detections.frame)
    before, after = np.arange(n) - 2, np.where(np.arange(n) + 2 < n, np.arange(n) + 2, -1)
    before = np.maximum(before, -1)
    links = Links(before, after, np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
    jumped = jumps(detections, process, Lives(), links)
    assert detections.frame[jumped].tolist() == [at]
    assert detections.x[jumped].tolist() == [80.0]
    cut = without_jumps(links, jumped)
    assert np.bincount(cut.path).tolist() == [frames, at, frames - at]
