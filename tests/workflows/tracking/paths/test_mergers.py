"""Mergers: how often rims touch is what they are a share of."""

import numpy as np
import pandas as pd
import pytest

from pyrodrop.workflows.tracking.paths.detections import detections_of
from pyrodrop.workflows.tracking.paths.linking import link
from pyrodrop.workflows.tracking.paths.mergers import meetings
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
