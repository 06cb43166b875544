"""What comes of following droplets through a stack: tables of tracks, events and rates, and curves of all."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.results.statistics.coarsening import Coarsening, coarsening
from pyrodrop.results.statistics.counts import LIKELY
from pyrodrop.results.statistics.mean_curve import mean_curve
from pyrodrop.workflows.tracking.events import events
from pyrodrop.workflows.tracking.paths.following import Followed
from pyrodrop.workflows.tracking.paths.learning import draws_of
from pyrodrop.workflows.tracking.paths.link_weights import seen_of
from pyrodrop.workflows.tracking.paths.mobility import mobilities
from pyrodrop.workflows.tracking.paths.smoothing import SmoothPaths, smoothed
from pyrodrop.workflows.tracking.rates import population_table, rate_table, with_interval

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

# Standard deviations to the 5 % and 95 % quantiles of a normal distribution.
_TO_QUANTILE = 1.6448536
_DRAWS = 100


@dataclass(frozen=True, eq=False, repr=False)
class Tracks:
    """Droplets through the frames of a stack, as ``pyrodrop.track`` returns them.

    Attributes:
        followed: the detections, their links, and what was learnt of how droplets move, come and go.
        seed: of the draws.
        interval_s: seconds between frames, None where that is not known.
        pixel_size_um: side of a pixel in micrometres, None where that is not known.
        unreadable: numbers of the frames that could not be read, and why.
    """

    followed: Followed
    seed: int = 0
    interval_s: float | None = None
    pixel_size_um: float | None = None
    unreadable: dict[int, str] = field(default_factory=dict)

    @property
    def frames(self) -> int:
        """How many frames there are, unreadable ones included."""
        return self.followed.detections.frames

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a frame in px."""
        return self.followed.detections.size

    @cached_property
    def _kept(self) -> NDArray[np.bool_]:
        """Detections of paths that are rather droplets than not, (N,), and those that merge or split."""
        kept = (self._none < 1 - LIKELY)[self.followed.links.path]
        for found in (self.followed.joined, self.followed.parted):
            kept[np.concatenate([found.first, found.second, found.product])] = True
        return np.asarray(kept)

    @cached_property
    def _none(self) -> Array:
        """Probability that each path is no droplet's, by its number."""
        path = self.followed.links.path
        return np.asarray(np.bincount(path, self.followed.posterior.spurious) / np.maximum(np.bincount(path), 1))

    @cached_property
    def _track(self) -> NDArray[np.int64]:
        """Number of each detection's track, (N,), -1 where it is none."""
        path = self.followed.links.path
        number = np.full(len(path), -1, dtype=np.int64)
        number[self._kept] = np.unique(path[self._kept], return_inverse=True)[1]
        return number

    @cached_property
    def paths(self) -> SmoothPaths:
        """Smooth paths: the rows of ``table``, with draws of the radii."""
        detections, process = self.followed.detections, self.followed.process
        return smoothed(detections, process, self._track, self._kept, _DRAWS, self.seed)

    @cached_property
    def table(self) -> "pd.DataFrame":
        """One row per droplet and frame, as ``tracks.csv``: track by track, also where a droplet was not detected.

        ``link_probability`` is that of the row's detection being the same droplet as the track's detection before;
        of a track's first one it is missing, and likewise ``presence`` where there was no detection.
        """
        import pandas as pd

        paths, detections = self.paths, self.followed.detections
        detected = paths.row >= 0
        row = np.maximum(paths.row, 0)
        columns: dict[str, Any] = {"track": paths.path, "frame": paths.frame}
        if self.interval_s is not None:
            columns["time_s"] = paths.frame * self.interval_s
        for axis, name in enumerate(("x_px", "y_px")):
            mean, sd = paths.centre[:, axis], paths.centre_sd[:, axis]
            columns |= {name: mean, f"{name}_sd": sd}
            columns |= {f"{name}_q05": mean - _TO_QUANTILE * sd, f"{name}_q95": mean + _TO_QUANTILE * sd}
        columns |= with_interval("radius_px", paths.radius.astype(np.float64))
        columns["detected"] = detected.astype(int)
        columns["presence"] = np.where(detected, detections.presence[row], np.nan)
        columns["link_probability"] = np.where(detected, self._link_probability[row], np.nan)
        if self.pixel_size_um is not None:
            for name, source in (("x_um", "x_px"), ("y_um", "y_px"), ("radius_um", "radius_px")):
                columns[name] = columns[source] * self.pixel_size_um
        columns["detection"] = np.where(detected, detections.rows[row], -1)
        return pd.DataFrame(columns)

    @cached_property
    def _link_probability(self) -> Array:
        """Probability of the link to the detection before, (N,), missing where there is none."""
        posterior, before = self.followed.posterior, self.followed.links.before
        probability = np.full(len(before), np.nan)
        of_link = before[posterior.tails] == posterior.heads
        probability[posterior.tails[of_link]] = posterior.probability[of_link]
        return probability

    @cached_property
    def events(self) -> "pd.DataFrame":
        """One row per event, as ``events.csv``: entered, nucleated, left, dissolved, merged from, split into."""
        return events(self.followed, self._track, self._kept)

    @cached_property
    def rates(self) -> "pd.DataFrame":
        """One row per track, as ``rates.csv``: dr/dt, d(r^2)/dt, d(r^3)/dt and mobility, with intervals."""
        seen = seen_of(self.followed.detections, self.followed.process)
        mobility = mobilities(self.paths, seen, self.followed.process, self.process_draws, self.seed)
        number = np.bincount(self._track[self._kept], minlength=len(mobility))
        return rate_table(self.paths, mobility, number, self.interval_s, self.pixel_size_um)

    @cached_property
    def _within(self) -> SmoothPaths:
        """The rows of paths that lie within the image: what is over the edge is not in the population meanwhile."""
        sides = np.array([self.size[1], self.size[0]])
        return self.paths.those(
            np.logical_and.reduce((self.paths.centre >= -0.5) & (self.paths.centre < sides - 0.5), 1)
        )

    @cached_property
    def _real(self) -> Array:
        """Probability that each track is of a droplet."""
        of_path = np.ones(int(self._track.max()) + 1)
        of_path[self._track[self._kept]] = (1 - self._none)[self.followed.links.path[self._kept]]
        return of_path

    @cached_property
    def _population(self) -> "pd.DataFrame":
        return population_table(self._within, self._real, self.frames, self.seed)

    @property
    def population(self) -> "pd.DataFrame":
        """One row per frame, as ``population.csv``: number, mean radius and D[3,2], with bands."""
        table = self._population.copy()
        if self.interval_s is not None:
            table.insert(1, "time_s", table["frame"] * self.interval_s)
        return table

    @cached_property
    def coarsening(self) -> Coarsening | None:
        """The exponent with which the mean radius grows; None of fewer frames or droplets than ``mean_curve`` needs."""
        rows = self._within
        curve = mean_curve(rows.path, rows.frame, rows.radius, self._real)
        return None if curve is None else coarsening(curve)

    @cached_property
    def process_draws(self) -> dict[str, Tensor]:
        """Draws of how droplets move and change, by the sites of ``pyrodrop.models.paths``; empty if not learnt."""
        learnt = self.followed.learnt
        return {} if learnt is None else draws_of(learnt, _DRAWS, self.seed)

    @property
    def n_tracks(self) -> int:
        """How many tracks there are."""
        return int(self._track.max(initial=-1)) + 1

    def summary(self) -> dict[str, Any]:
        """What ``summary.json`` says of the tracks."""
        process, lives, kinds = self.followed.process, self.followed.lives, self.events["event"].value_counts()
        named = ("diffusion", "mobility_exponent", "reference", "rate_sd", "rate_time", "look_step")
        coarse = self.coarsening
        return {
            "frames": self.frames,
            "interval_s": self.interval_s,
            "n_tracks": self.n_tracks,
            "events": {str(kind): int(number) for kind, number in sorted(kinds.items())},
            "process": {name: float(getattr(process, name)) for name in named},
            "drift_px_per_frame": [float(value) for value in process.drift[:-1].mean(0)] if self.frames > 1 else [0, 0],
            "lives": {name: float(value) for name, value in lives._asdict().items()},
            "coarsening": None if coarse is None else coarse.as_dict(),
            "unreadable_frames": {str(frame): why for frame, why in self.unreadable.items()},
        }

    def __repr__(self) -> str:
        height, width = self.size
        return f"<Tracks of {self.n_tracks} droplets in {self.frames} frames of {width} x {height} px>"
