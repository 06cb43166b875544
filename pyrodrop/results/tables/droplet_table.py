"""One row per droplet: where it is, how large, how high, how sure, and what to be wary of."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.results.tables.residuals import DropletResiduals

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


class Context(NamedTuple):
    """What a flag is decided from: mean x, y, radius, amplitude of each droplet, the image's size and noise.

    What may not be known, and then raises no flag: the 5 % and 95 % quantiles of the radius (N,), the least and the
    greatest radius that the prior allows, what the model leaves over inside each circle, and which droplets the fit
    held back at an edge of where they may lie (N,).
    """

    x: Array
    y: Array
    radius: Array
    amplitude: Array
    size: tuple[int, int]
    noise: float
    radius_q05: Array | None = None
    radius_q95: Array | None = None
    radius_range: tuple[float, float] | None = None
    residuals: DropletResiduals | None = None
    held: NDArray[np.bool_] | None = None


Flag = Callable[[Context], NDArray[np.bool_]]
FLAGS: dict[str, tuple[str, Flag]] = {}


def flag(name: str, meaning: str) -> Callable[[Flag], Flag]:
    """Register a function of a ``Context`` that says of each droplet whether the flag ``name`` applies."""

    def register(decide: Flag) -> Flag:
        FLAGS[name] = (meaning, decide)
        return decide

    return register


@flag("border", "the circle reaches beyond the image")
def _border(c: Context) -> NDArray[np.bool_]:
    h, w = c.size
    left = np.minimum(c.x, w - 1 - c.x)
    top = np.minimum(c.y, h - 1 - c.y)
    return np.minimum(left, top) < c.radius


@flag("overlapping", "its circle meets another droplet's")
def _overlapping(c: Context) -> NDArray[np.bool_]:
    from scipy.spatial import cKDTree

    centres = np.stack([c.x, c.y], 1)
    meets = np.zeros(len(c.x), bool)
    if len(c.x) == 0:
        return meets
    # Sorted by radius, a droplet needs to look only as far as twice its own radius for smaller ones.
    tree = cKDTree(centres)
    for i, near in enumerate(tree.query_ball_point(centres, 2 * c.radius)):
        for j in near:
            if j != i and c.radius[j] <= c.radius[i]:
                apart = np.hypot(*(centres[i] - centres[j]))
                if apart < c.radius[i] + c.radius[j]:
                    meets[i] = meets[j] = True
    return meets


@flag("faint", "its signal to noise, amplitude * radius * sqrt(pi) / noise for a Gaussian, is below 5")
def _faint(c: Context) -> NDArray[np.bool_]:
    return np.abs(c.amplitude) * c.radius * np.sqrt(np.pi) < 5 * c.noise


@flag("prior_edge", "it is held back at an edge of what was allowed, or its radius is within 2 % of one")
def _prior_edge(c: Context) -> NDArray[np.bool_]:
    if c.held is not None:
        return c.held
    if c.radius_range is None or c.radius_q05 is None or c.radius_q95 is None:
        return np.zeros(len(c.x), bool)
    least, greatest = c.radius_range
    return (c.radius_q05 <= 1.02 * least) | (c.radius_q95 >= greatest / 1.02)


@flag(
    "residual",
    "inside its circle what the model leaves over has more than twice the noise's mean square, beyond chance",
)
def _residual(c: Context) -> NDArray[np.bool_]:
    if c.residuals is None:
        return np.zeros(len(c.x), bool)
    # By the first alone a droplet of three pixels would be flagged by chance, by the second a large one for a trifle.
    return (c.residuals.reduced > 2) & (c.residuals.sigmas > 4)


def droplet_table(
    draws: Mapping[str, Tensor],
    size: tuple[int, int],
    noise: float,
    presence: Tensor | None = None,
    pixel_size_um: float | None = None,
    radius_range: tuple[float, float] | None = None,
    residuals: DropletResiduals | None = None,
    held: NDArray[np.bool_] | None = None,
) -> "pd.DataFrame":
    """The droplet table: mean, standard deviation and 5 % and 95 % quantiles over draws.

    Args:
        draws: x_px, y_px, radius_px and amplitude, each (draws, N); lengths in px.
        size: height and width (H, W) of the image in px.
        noise: standard deviation of the noise, in units of the amplitude.
        presence: probability that each droplet is there, (N,); one where not given.
        pixel_size_um: side of a pixel in micrometres; adds the columns x_um, y_um and radius_um.
        radius_range: least and greatest radius in px that the prior allows, for the flag prior_edge.
        residuals: what the model leaves over inside each circle, for the flag residual.
        held: droplets that a fit held back at an edge of where they may lie, (N,), for the flag prior_edge.

    Returns:
        A frame with the columns id, each quantity with _sd, _q05, _q95, presence, flags (names of ``FLAGS``,
        separated by blanks) and, with a pixel size, x_um, y_um, radius_um.
    """
    columns: dict[str, object] = {}
    means: dict[str, Array] = {}
    lows: dict[str, Array] = {}
    highs: dict[str, Array] = {}
    for name in ("x_px", "y_px", "radius_px", "amplitude"):
        values = draws[name].detach().cpu().double().numpy()
        means[name] = values.mean(0)
        low, high = np.quantile(values, [0.05, 0.95], axis=0)
        lows[name], highs[name] = low, high
        columns |= {name: means[name], f"{name}_sd": values.std(0), f"{name}_q05": low, f"{name}_q95": high}
    n = len(means["x_px"])
    x, y, radius, amplitude = means.values()
    low, high = lows["radius_px"], highs["radius_px"]
    context = Context(x, y, radius, amplitude, size, noise, low, high, radius_range, residuals, held)
    named = [(name, decide(context)) for name, (_, decide) in FLAGS.items()]
    columns["presence"] = np.ones(n) if presence is None else presence.detach().cpu().double().numpy()
    flags = [" ".join(name for name, applies in named if applies[i]) for i in range(n)]
    columns["flags"] = np.array(flags, dtype=object)
    if pixel_size_um is not None:
        for axis, source in (("x_um", "x_px"), ("y_um", "y_px"), ("radius_um", "radius_px")):
            columns[axis] = means[source] * pixel_size_um
    # Imported late: it takes a fifth of the time that torch and Pyro take to import.
    import pandas as pd

    table = pd.DataFrame(columns)
    table.insert(0, "id", np.arange(n))
    return table
