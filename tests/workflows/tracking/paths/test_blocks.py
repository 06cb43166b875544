"""Two droplets that meet and part: which was which meanwhile does not hang on how the sampler of links began."""

import numpy as np
import pandas as pd
import pytest

from pyrodrop.workflows.tracking.paths.alternatives import link_posterior
from pyrodrop.workflows.tracking.paths.detections import detections_of
from pyrodrop.workflows.tracking.paths.linking import link
from pyrodrop.workflows.tracking.paths.process import Lives, PathProcess

FRAMES = 10


def test_droplets_that_met_may_have_been_either_meanwhile() -> None:
    """A small one and a large one lie symmetrically about where they are seen side by side for two frames, with radii
    that nobody knows there. By symmetry each is the left one with the probability 1/2, wherever the draws begin.
    """
    rows = []
    for t in range(FRAMES):
        if t in (4, 5):
            rows += [(t, 47.5, 50.0, 5.0, 4.0), (t, 52.5, 50.0, 5.0, 4.0)]
        else:
            rows += [(t, 50.0, 46.0, 4.0, 0.05), (t, 50.0, 54.0, 6.0, 0.05)]
    table = pd.DataFrame(rows, columns=["frame", "x_px", "y_px", "radius_px", "radius_px_sd"])
    detections = detections_of(table.assign(x_px_sd=0.1, y_px_sd=0.1), (100, 100), FRAMES)
    process = PathProcess(2.0, 0.0, 5.0, 0.02, 50.0, 1e-5, 1.0, 1.0, 1.0, np.zeros((FRAMES, 2)))
    links = link(detections, process, Lives())
    small, (left, right) = 6, (8, 9)  # the small one's last detection before, and the two after it
    assert detections.radius[small] == 4.0
    begun, after = links.after[small], links.after.copy()
    assert begun in (left, right)
    # the other way about: both take the other's two detections
    other = links.after[small + 1]
    ends = {int(each): after[links.after[each]] for each in (begun, other)}
    after[[small, small + 1]] = other, begun
    after[links.after[begun]], after[links.after[other]] = ends[int(other)], ends[int(begun)]
    before = np.full(len(after), -1)
    before[after[after >= 0]] = np.flatnonzero(after >= 0)
    for start in (links, links._replace(before=before, after=after)):
        drawn = link_posterior(detections, process, Lives(), start, sweeps=400, seed=3)
        of_small = {
            int(j): p for i, j, p in zip(drawn.heads, drawn.tails, drawn.probability, strict=True) if i == small
        }
        assert of_small[left] == pytest.approx(0.5, abs=0.1)
        assert of_small[right] == pytest.approx(0.5, abs=0.1)
