"""The droplets of all frames as arrays: what the linking sees."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from pyrodrop.workflows.settings import SettingError

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

NEEDED = ("frame", "x_px", "y_px", "radius_px")
# A table that gives no presence was cleaned by a person, who is wrong now and then; the share is learnt from there.
_PRESENCE_UNTOLD = 0.99
# No detection is surer than this, or than its opposite: beyond it the calibration of presence was never tried.
_SUREST = 1e-4
# Relative standard deviation of a radius, and that of a centre in radii, where a table gives none: the start of what
# the factors of ``PathProcess`` learn.
_UNTOLD_SHARE = 0.02


class Detections(NamedTuple):
    """Droplets of all frames, sorted by frame, N of them; lengths in px.

    Attributes:
        frame: number of the frame, from 0, (N,).
        x, y, radius: centre and radius, (N,).
        look: logarithm of the size of the amplitude, (N,); 0 where the table has none.
        x_var, y_var, radius_var, look_var: their variances, (N,).
        presence: probability that it is a droplet, within (0, 1), (N,).
        rows: where each came from in the table, (N,).
        readable: numbers of the frames that could be read, sorted, (T,).
        frames: how many frames there are, missing ones included.
        size: height and width of a frame in px.
        knows_look: whether the table has amplitudes.
    """

    frame: Int[NDArray[np.int64], " n"]
    x: Float[Array, " n"]
    y: Float[Array, " n"]
    radius: Float[Array, " n"]
    look: Float[Array, " n"]
    x_var: Float[Array, " n"]
    y_var: Float[Array, " n"]
    radius_var: Float[Array, " n"]
    look_var: Float[Array, " n"]
    presence: Float[Array, " n"]
    rows: Int[NDArray[np.int64], " n"]
    readable: Int[NDArray[np.int64], " t"]
    frames: int
    size: tuple[int, int]
    knows_look: bool

    @property
    def area(self) -> float:
        """Area of a frame in px^2."""
        return float(self.size[0] * self.size[1])

    @property
    def per_frame(self) -> float:
        """Droplets expected in a readable frame."""
        return max(float(self.presence.sum()) / max(len(self.readable), 1), 1e-6)

    @property
    def ordinal(self) -> NDArray[np.int64]:
        """Place of each detection's frame among the readable ones, (N,)."""
        return np.searchsorted(self.readable, self.frame)

    @property
    def starts(self) -> NDArray[np.int64]:
        """Where each readable frame begins among the detections, and at last N, (T + 1,)."""
        return np.searchsorted(self.frame, np.append(self.readable, self.frames))


def detections_of(
    table: "pd.DataFrame",
    size: tuple[int, int] | None = None,
    frames: int | None = None,
    missing: Sequence[int] = (),
) -> Detections:
    """The detections that a table of frames holds.

    Args:
        table: a row a droplet and frame: frame, from 0, x_px, y_px, radius_px; where it has them also x_px_sd, y_px_sd,
            radius_px_sd, amplitude, amplitude_sd and presence, as ``droplets.csv`` has.
        size: height and width of a frame in px; None for the extent of the centres.
        frames: how many frames there are; None for one more than the last that the table names.
        missing: numbers of frames that could not be read. All others that the table does not name hold no droplet.

    Raises:
        SettingError: the table lacks a column, or holds something else than finite numbers in one.
    """
    lacking = [name for name in NEEDED if name not in table]
    if lacking:
        raise SettingError(f"the table lacks the column {', '.join(lacking)}; expected at least {', '.join(NEEDED)}")
    columns = {name: _numbers(table, name) for name in NEEDED}
    frame = columns["frame"]
    if len(table) == 0:
        raise SettingError("the table has no rows: no frame holds a droplet, and there is nothing to follow")
    if (frame != np.round(frame)).any() or frame.min() < 0:
        raise SettingError("the column frame holds something else than whole numbers from 0; number the frames so")
    if (columns["radius_px"] <= 0).any():
        raise SettingError("the column radius_px holds radii that are not positive; leave those rows out")
    count = int(frame.max()) + 1 if frames is None else frames
    if frame.max() >= count:
        raise SettingError(f"the table has a frame {int(frame.max())}, and there are {count} frames, from 0")
    order = np.lexsort((columns["x_px"], columns["y_px"], frame))
    radius = columns["radius_px"][order]
    spread = {name: _sd(table, name, order, _UNTOLD_SHARE * radius) for name in ("x_px", "y_px", "radius_px")}
    look, look_var = _look(table, order)
    presence = _numbers(table, "presence")[order] if "presence" in table else np.full(len(table), _PRESENCE_UNTOLD)
    if size is None:
        size = (int(np.ceil(columns["y_px"].max())) + 1, int(np.ceil(columns["x_px"].max())) + 1)
    gone = set(missing)
    return Detections(
        frame[order].astype(np.int64),
        columns["x_px"][order],
        columns["y_px"][order],
        radius,
        look,
        spread["x_px"] ** 2,
        spread["y_px"] ** 2,
        spread["radius_px"] ** 2,
        look_var,
        np.clip(presence, _SUREST, 1 - _SUREST),
        order.astype(np.int64),
        np.array([number for number in range(count) if number not in gone], dtype=np.int64),
        count,
        size,
        "amplitude" in table,
    )


def _numbers(table: "pd.DataFrame", name: str) -> Array:
    try:
        values = table[name].to_numpy(dtype=np.float64)
    except (TypeError, ValueError):
        values = np.array([np.nan])
    if not np.isfinite(values).all():
        raise SettingError(f"the column {name} holds something else than finite numbers; leave those rows out")
    return np.asarray(values)


def _sd(table: "pd.DataFrame", name: str, order: NDArray[np.intp], untold: Array) -> Array:
    """Standard deviations of a column; where they are not positive they would make a detection infinitely sure."""
    if f"{name}_sd" not in table:
        return untold
    values = _numbers(table, f"{name}_sd")[order]
    return np.asarray(np.where(values > 0, values, untold))


def _look(table: "pd.DataFrame", order: NDArray[np.intp]) -> tuple[Array, Array]:
    if "amplitude" not in table:
        return np.zeros(len(table)), np.ones(len(table))
    height = np.abs(_numbers(table, "amplitude")[order])
    sd = _sd(table, "amplitude", order, _UNTOLD_SHARE * height)
    height = np.maximum(height, np.maximum(sd, 1e-12))  # below its own doubt a height has no logarithm
    return np.log(height), (sd / height) ** 2
