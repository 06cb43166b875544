"""One row per droplet: where it is, how large, how high, how sure, and what to be wary of."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.results.checks.residuals import DropletResiduals
from pyrodrop.results.tables.flags import FLAGS, MeasuredDroplets

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


def droplet_table(
    draws: Mapping[str, Tensor],
    size: tuple[int, int],
    noise: float,
    presence: Tensor | None = None,
    pixel_size_um: float | None = None,
    residuals: DropletResiduals | None = None,
    at_bounds: NDArray[np.bool_] | None = None,
    looked_at: NDArray[np.bool_] | None = None,
    ids: NDArray[np.int64] | None = None,
) -> "pd.DataFrame":
    """The droplet table: mean, standard deviation and 5 % and 95 % quantiles over draws.

    Args:
        draws: x_px, y_px, radius_px, where there is one sigma_px, and amplitude, each (draws, N); lengths in px.
        size: height and width (H, W) of the image in px.
        noise: standard deviation of the noise, in units of the amplitude.
        presence: probability that each droplet is present, (N,); one where not given.
        pixel_size_um: side of a pixel in micrometres; adds the columns x_um, y_um, radius_um and diameter_um.
        residuals: the residual inside each circle, for the flag residual.
        at_bounds: droplets that a fit held back at an edge of where they may lie, (N,), for the flag prior_edge.
        looked_at: pixels that were looked at, (H, W), for the flag border; None for all.
        ids: numbers of the droplets, (N,); 0, 1, ... where not given.

    Returns:
        A frame with the columns id, each quantity with _sd, _q05, _q95, presence, flags (names of ``FLAGS``,
        separated by blanks) and, with a pixel size, x_um, y_um, radius_um, and diameter_um with _sd, _q05, _q95.
    """
    columns: dict[str, object] = {}
    means: dict[str, Array] = {}
    for name in ("x_px", "y_px", "radius_px", "sigma_px", "amplitude"):
        if name in draws:
            values = draws[name].detach().cpu().double().numpy()
            means[name] = values.mean(0)
            columns |= _with_interval(name, values)
    n = len(means["x_px"])
    x, y, radius, amplitude = (means[name] for name in ("x_px", "y_px", "radius_px", "amplitude"))
    droplets = MeasuredDroplets(
        x, y, radius, amplitude, size, noise, residuals, at_bounds, means.get("sigma_px"), looked_at
    )
    decided = [(name, decide(droplets)) for name, (_, decide) in FLAGS.items()]
    columns["presence"] = np.ones(n) if presence is None else presence.detach().cpu().double().numpy()
    flags = [" ".join(name for name, applies in decided if applies[i]) for i in range(n)]
    columns["flags"] = np.array(flags, dtype=object)
    if pixel_size_um is not None:
        for axis, source in (("x_um", "x_px"), ("y_um", "y_px"), ("radius_um", "radius_px")):
            columns[axis] = means[source] * pixel_size_um
        diameters = 2 * pixel_size_um * draws["radius_px"].detach().cpu().double().numpy()
        columns |= _with_interval("diameter_um", diameters)
    # Imported late: it takes a fifth of the time that torch and Pyro take to import.
    import pandas as pd

    table = pd.DataFrame(columns)
    table.insert(0, "id", np.arange(n) if ids is None else ids)
    return table


def _with_interval(name: str, values: Array) -> dict[str, Array]:
    """Mean, standard deviation and 5 % and 95 % quantiles of draws, (draws, N), by column."""
    low, high = np.quantile(values, [0.05, 0.95], axis=0)
    return {name: values.mean(0), f"{name}_sd": values.std(0), f"{name}_q05": low, f"{name}_q95": high}
