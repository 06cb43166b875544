"""One row per droplet: where it is, how large, how high, how sure, and what to be wary of."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]


class Context(NamedTuple):
    """What a flag is decided from: mean x, y, radius, amplitude of each droplet, the image's size and noise."""

    x: Array
    y: Array
    radius: Array
    amplitude: Array
    size: tuple[int, int]
    noise: float


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


def droplet_table(
    draws: Mapping[str, Tensor],
    size: tuple[int, int],
    noise: float,
    presence: Tensor | None = None,
    pixel_size_um: float | None = None,
) -> pd.DataFrame:
    """The droplet table: mean, standard deviation and 5 % and 95 % quantiles over draws.

    Args:
        draws: x_px, y_px, radius_px and amplitude, each (draws, N); lengths in px.
        size: height and width (H, W) of the image in px.
        noise: standard deviation of the noise, in units of the amplitude.
        presence: probability that each droplet is there, (N,); one where not given.
        pixel_size_um: side of a pixel in micrometres; adds the columns x_um, y_um and radius_um.

    Returns:
        A frame with the columns id, each quantity with _sd, _q05, _q95, presence, flags (names of ``FLAGS``,
        separated by blanks) and, with a pixel size, x_um, y_um, radius_um.
    """
    columns: dict[str, object] = {}
    means: dict[str, Array] = {}
    for name in ("x_px", "y_px", "radius_px", "amplitude"):
        values = draws[name].detach().cpu().double().numpy()
        means[name] = values.mean(0)
        low, high = np.quantile(values, [0.05, 0.95], axis=0)
        columns |= {name: means[name], f"{name}_sd": values.std(0), f"{name}_q05": low, f"{name}_q95": high}
    n = len(means["x_px"])
    context = Context(means["x_px"], means["y_px"], means["radius_px"], means["amplitude"], size, noise)
    named = [(name, decide(context)) for name, (_, decide) in FLAGS.items()]
    columns["presence"] = np.ones(n) if presence is None else presence.detach().cpu().double().numpy()
    columns["flags"] = [" ".join(name for name, applies in named if applies[i]) for i in range(n)]
    if pixel_size_um is not None:
        for axis, source in (("x_um", "x_px"), ("y_um", "y_px"), ("radius_um", "radius_px")):
            columns[axis] = means[source] * pixel_size_um
    table = pd.DataFrame(columns)
    table.insert(0, "id", np.arange(n))
    return table
