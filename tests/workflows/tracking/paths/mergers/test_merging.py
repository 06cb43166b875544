"""Mergers: how often rims touch is what they are a share of."""

import numpy as np
import pandas as pd
import pytest

from pyrodrop.workflows.tracking.paths.detections import Detections, detections_of
from pyrodrop.workflows.tracking.paths.linking import Links, link
from pyrodrop.workflows.tracking.paths.mergers.merging import meetings, mergers, without_mergers
from pyrodrop.workflows.tracking.paths.process import Lives, PathProcess

SURE = {"x_px_sd": 0.1, "y_px_sd": 0.1, "radius_px_sd": 0.08, "presence": 0.999}


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
    detections = detections_of(table.assign(**SURE), (100, 100), frames)
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


def _merged(radii: tuple[float, float], frames: int = 12, at: int = 6) -> tuple[Detections, Links, PathProcess]:
    """Two droplets that become one in the middle of a stack, and links that take the first and the product for one."""
    product = float(np.cbrt(np.sum(np.array(radii) ** 3)))
    share = (radii[0] / product) ** 3
    ways = ((45.0, radii[0]), (45.0 + 0.9 * sum(radii), radii[1]))
    rows = [(t, x, 50.0, r) for t in range(at) for x, r in ways]
    rows += [(t, share * ways[0][0] + (1 - share) * ways[1][0], 50.0, product) for t in range(at, frames)]
    table = pd.DataFrame(rows, columns=["frame", "x_px", "y_px", "radius_px"])
    detections = detections_of(table.assign(**SURE), (100, 100), frames)
    process = PathProcess(1.0, 0.0, 5.0, 0.02, 20.0, 1e-5, 1.0, 1.0, 1.0, np.zeros((frames, 2)))
    of_second = detections.x == ways[1][0]
    before, after = np.full(len(rows), -1), np.full(len(rows), -1)
    for path in (np.flatnonzero(~of_second), np.flatnonzero(of_second)):
        after[path[:-1]], before[path[1:]] = path[1:], path[:-1]
    nothing = np.zeros(0, dtype=np.int64)
    return detections, Links(before, after, nothing, nothing), process


@pytest.mark.parametrize("small", [2.0, 3.0, 4.5])
def test_a_merger_is_not_told_a_frame_late(small: float) -> None:
    """Then the smaller of the two would have been missed where the larger one was seen."""
    detections, links, process = _merged((6.0, small))
    found = mergers(detections, process, Lives(merging=0.3), links)
    assert detections.frame[found.product].tolist() == [6]
    assert (found.probability > 0.99).all()


def test_a_link_past_the_product_goes_on_from_it() -> None:
    """One of the two linked to the second detection of what they became, whose first was linked to the other."""
    detections, links, process = _merged((7.2, 5.6))
    before, after = links.before.copy(), links.after.copy()
    first = int(np.flatnonzero(detections.frame == 6)[0])
    second, last = first + 1, int(np.flatnonzero((detections.frame == 5) & (detections.radius == 5.6))[0])
    after[first], after[last], before[second] = -1, second, last
    links = Links(before, after, np.array([last, first]), np.array([second, second]))
    found = mergers(detections, process, Lives(merging=0.3), links)
    assert detections.frame[found.product].tolist() == [6]
    apart = without_mergers(links, found)
    assert apart.before[first] == -1
    assert apart.after[first] == second
    assert apart.before[second] == first
    assert apart.after[last] == -1


def test_a_doubtful_piece_of_a_droplet_that_is_gone_has_not_merged_with_it() -> None:
    """The circle that is left takes its light, and with it its volume; one that was surely a droplet has merged."""
    told = []
    for presence in (0.1, 0.999):
        rows = [(t, 50.0, 50.0, 6.0, 0.999) for t in range(6)] + [(t, 55.0, 50.0, 3.0, presence) for t in range(6)]
        rows += [(t, 50.6, 50.0, 6.24, 0.999) for t in range(6, 12)]
        table = pd.DataFrame(rows, columns=["frame", "x_px", "y_px", "radius_px", "presence"])
        detections = detections_of(table.assign(x_px_sd=0.1, y_px_sd=0.1, radius_px_sd=0.05), (100, 100), 12)
        process = PathProcess(0.01, 0.0, 5.0, 0.01, 20.0, 1e-5, 1.0, 1.0, 1.0, np.zeros((12, 2)))
        found = mergers(detections, process, Lives(merging=0.1), link(detections, process, Lives()))
        told.append(len(found.product))
    assert told == [0, 1]
