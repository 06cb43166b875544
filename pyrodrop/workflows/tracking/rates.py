"""How fast each droplet grows and moves, and what the droplets of each frame are together: numbers with intervals."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from pyrodrop.workflows.tracking.paths.smoothing import SmoothPaths

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

# Powers of the radius whose rates are told: of the radius itself, of what diffusion takes away, and of the volume.
POWERS = {"dr_dt": 1, "dr2_dt": 2, "dr3_dt": 3}


def rate_table(
    paths: SmoothPaths,
    mobility: Float[Array, "p draws"],
    detections_of_path: NDArray[np.int64],
    interval_s: float | None,
    pixel_size_um: float | None,
) -> "pd.DataFrame":
    """A row a path: its mean rates from its first to its last frame, and its mobility (diffusion coefficient).

    Args:
        paths: smooth paths, with draws of radii.
        mobility: draws of each path's diffusion, px^2 a frame.
        detections_of_path: how many detections each has, (P,).
        interval_s: seconds between frames, where that is known.
        pixel_size_um: side of a pixel in micrometres, where that is known.

    Returns:
        track, first_frame, last_frame, detections, then dr_dt, dr2_dt, dr3_dt and mobility in px and frames, each with
        _sd, _q05 and _q95; and where both scales are known, in micrometres and seconds. Paths of a single frame have no
        rates.
    """
    import pandas as pd

    bounds = paths.bounds
    first, last = bounds[:-1], bounds[1:] - 1
    frames = paths.frame[last] - paths.frame[first]
    columns: dict[str, object] = {
        "track": np.arange(len(first)),
        "first_frame": paths.frame[first],
        "last_frame": paths.frame[last],
        "detections": detections_of_path,
    }
    with np.errstate(invalid="ignore", divide="ignore"):
        before, after = paths.radius[first].astype(np.float64), paths.radius[last].astype(np.float64)
        drawn = {
            f"{name}_{_unit(power, 'px', 'frame')}": (after**power - before**power) / frames[:, None]
            for name, power in POWERS.items()
        }
    drawn["mobility_px2_per_frame"] = np.where(frames[:, None] > 0, mobility, np.nan)
    for name, values in drawn.items():
        columns |= with_interval(name, values)
    if interval_s is not None and pixel_size_um is not None:
        for (name, values), power in zip(drawn.items(), (*POWERS.values(), 2), strict=True):
            kind = name.split("_px")[0]
            scaled = values * pixel_size_um**power / interval_s
            columns |= with_interval(f"{kind}_{_unit(power, 'um', 's')}", scaled)
    return pd.DataFrame(columns)


def population_table(paths: SmoothPaths, real: Float[Array, " p"], frames: int, seed: int = 0) -> "pd.DataFrame":
    """A row a frame: number, mean radius and D[3,2] of the droplets in it.

    The bands hold what is not known of the radii, and that the droplets in the image are a sample of those that there
    might be: each draw gives every path a weight of its own (Rubin's Bayesian bootstrap, Annals of Statistics 9, 130,
    1981). Only frames with droplets have a row.

    Args:
        paths: smooth paths, with draws of radii.
        real: probability that each path is of a droplet, (P,).
        frames: how many frames there are.
        seed: of the weights.
    """
    import pandas as pd

    rng = np.random.default_rng(seed)
    draws = paths.radius.shape[1]
    weights = rng.exponential(size=(len(real), draws)) * real[:, None]
    there = rng.random((len(real), draws)) < real[:, None]
    order = np.argsort(paths.frame, kind="stable")
    starts = np.searchsorted(paths.frame[order], np.arange(frames + 1))
    rows = []
    for frame in range(frames):
        rows_of = order[starts[frame] : starts[frame + 1]]
        if not len(rows_of):
            continue
        radius, path = paths.radius[rows_of].astype(np.float64), paths.path[rows_of]
        weight = weights[path]
        total = weight.sum(0)
        mean = (weight * radius).sum(0) / total
        sauter = 2 * (weight * radius**3).sum(0) / (weight * radius**2).sum(0)
        number = there[path].sum(0).astype(np.float64)
        named = {"n_droplets": number, "mean_radius_px": mean, "d32_px": sauter}
        row: dict[str, object] = {"frame": frame}
        for name, values in named.items():
            low, high = np.quantile(values, [0.05, 0.95], method="weibull")
            row |= {name: values.mean(), f"{name}_q05": low, f"{name}_q95": high}
        rows.append(row)
    return pd.DataFrame(rows)


def with_interval(name: str, values: Float[Array, "n draws"]) -> dict[str, Array]:
    """Mean, standard deviation, 5 % and 95 % quantiles over draws, by column.

    The k-th of n draws is where k / (n + 1) of a distribution lie: of few draws other quantiles lie too far in.
    """
    low, high = np.quantile(values, [0.05, 0.95], axis=1, method="weibull")
    return {name: values.mean(1), f"{name}_sd": values.std(1), f"{name}_q05": low, f"{name}_q95": high}


def _unit(power: int, length: str, time: str) -> str:
    return f"{length}{power if power > 1 else ''}_per_{time}"
