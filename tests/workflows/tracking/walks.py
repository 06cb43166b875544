"""Droplets that walk, grow and meet, with a known truth: small tables of detections for the tests of tracking."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

COLUMNS = ["droplet", "frame", "x_px", "y_px", "radius_px", "amplitude", "presence"]
SDS = {"x_px_sd": 0.1, "y_px_sd": 0.1, "radius_px_sd": 0.05, "amplitude_sd": 0.01}


@dataclass(frozen=True)
class Walks:
    """What walks: how many droplets, for how many frames, in an image of which side, and how."""

    droplets: int = 30
    frames: int = 20
    side: float = 120.0
    diffusion: float = 0.5
    drift: tuple[float, float] = (0.0, 0.0)
    growth: float = 0.02
    misses: float = 0.0
    seed: int = 0


def walks(how: Walks) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """A table of detections, and the number of the droplet that each row is of. None leaves the image."""
    rng = np.random.default_rng(how.seed)
    # a drift carries none over the edge
    way = np.abs(np.array(how.drift)) * how.frames
    where = rng.uniform(10, how.side - 10 - way, (how.droplets, 2))
    radius, rate = rng.uniform(3, 6, how.droplets), how.growth * rng.standard_normal(how.droplets)
    height = rng.uniform(0.3, 0.9, how.droplets)
    rows = []
    for t in range(how.frames):
        seen = rng.random(how.droplets) >= how.misses
        noise = rng.standard_normal((how.droplets, 4)) * list(SDS.values())
        parts = (np.arange(how.droplets), np.full(how.droplets, t), *(where + noise[:, :2]).T)
        rows.append(
            np.column_stack([*parts, radius + noise[:, 2], height + noise[:, 3], np.full(how.droplets, 0.99)])[seen]
        )
        step = np.sqrt(2 * how.diffusion) * rng.standard_normal(where.shape) + how.drift
        where = np.where((where + step > 2) & (where + step < how.side - 2), where + step, where)
        radius = radius + rate
    table = pd.DataFrame(np.concatenate(rows), columns=COLUMNS).assign(**SDS)
    return table, table.pop("droplet").to_numpy().astype(np.int64)


def same_before(frame: NDArray[np.int64], droplet: NDArray[np.int64]) -> NDArray[np.int64]:
    """The detection of the same droplet before each, -1 for none; detections are sorted by frame."""
    last: dict[int, int] = {}
    before = np.full(len(frame), -1, dtype=np.int64)
    for n, name in enumerate(droplet):
        before[n] = last.get(int(name), -1)
        last[int(name)] = n
    return before
