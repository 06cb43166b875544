"""How small and how faint may a droplet be and still be found? Droplets of known size are put into one's own image."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.models.injection import add_droplets
from pyrodrop.workflows.settings import SettingError, positive_whole, whole

Array = NDArray[np.float64]
Find = Callable[[Tensor], pd.DataFrame]

# So many places are tried for a droplet before the image is called full.
_TRIES = 2_000
# A droplet seen is that put in only if its radius is right within this factor.
_ALIKE = 1.75


@dataclass(frozen=True, eq=False)
class Recovery:
    """What became of the droplets put in.

    Attributes:
        curve: a row for each radius_px and contrast: injected and found (numbers), probability of being found, its
            5 % and 95 % quantiles q05 and q95 (Jeffreys' interval), radius_bias (mean of found over true radius,
            less 1) and radius_bias_se (its standard error), both NaN where too few were found.
        droplets: a row for each droplet put in: image, x_px, y_px, radius_px, contrast, found, found_radius_px.
    """

    curve: pd.DataFrame
    droplets: pd.DataFrame


class _Circles(NamedTuple):
    x: Array
    y: Array
    r: Array

    @classmethod
    def of(cls, table: pd.DataFrame) -> "_Circles":
        """Those of a table, by the profile's own radius: of Gaussians that were measured, their sigma."""
        radius = "sigma_px" if "sigma_px" in table else "radius_px"
        x, y, r = (table[name].to_numpy(dtype=np.float64) for name in ("x_px", "y_px", radius))
        return cls(x, y, r)


def inject(
    channel: Tensor,
    find: Find,
    radii_px: Sequence[float],
    contrasts: Sequence[float],
    *,
    each: int = 20,
    per_image: int = 10,
    separation: float = 2.0,
    seed: int = 0,
    **drawing: Any,
) -> Recovery:
    """Put droplets of known radius and contrast into an image, look for droplets in it, and see which are found.

    They are put where ``find`` sees none in the image as it is, and not where one would meet another, so the curve
    is that of single droplets on this background and in this noise; within a crowd fewer are found. A droplet counts
    as found when a row of the table has its centre within half the radius, or 2 px where that is less,
    and its radius within a factor of 1.75; each that is found stands for one put in.

    Args:
        channel: the image, (H, W), floating point.
        find: from a channel to a droplet table with x_px, y_px, radius_px and, where it has it, sigma_px. It is
            called once on the image itself and then len(radii_px) * len(contrasts) * each / per_image times.
        radii_px: radii to try, as the profile has them.
        contrasts: amplitudes to try, in the channel's units; negative for droplets darker than the background.
        each: droplets of each radius and contrast.
        per_image: droplets put in at a time; few, so that the image stays what it is.
        separation: least distance of two centres in sums of their radii.
        seed: of places and order.
        drawing: profile and whatever else ``pyrodrop.render`` takes.

    Returns:
        A ``Recovery``: ``curve`` has the share found for each radius and contrast, ``droplets`` a row for each
        droplet put in.

    Raises:
        SettingError: no radii or contrasts, some that are not usable, or no room for the droplets.

    Example:
        >>> import pyrodrop
        >>> image, _ = pyrodrop.simulate(2, (80, 100), seed=1, kind="gray", radius_px=(4, 6), noise=0.02)
        >>> def find(channel):
        ...     return pyrodrop.fit(channel, "auto", error_scale=0.02, steps=10, progress=False).table()
        >>> recovery = pyrodrop.inject(image.channel("gray"), find, [3.0], [0.3], each=4, per_image=4)
        >>> len(recovery.droplets), len(recovery.curve)
        (4, 1)
    """
    _check(channel, radii_px, contrasts, separation)
    each, per_image = positive_whole("each", each), positive_whole("per_image", per_image)
    generator = np.random.default_rng(whole("seed", seed))
    wanted = np.array([(r, a) for r in radii_px for a in contrasts for _ in range(each)], dtype=np.float64)
    generator.shuffle(wanted)
    there = _Circles.of(find(channel))
    size = (channel.shape[0], channel.shape[1])
    parts = []
    for image, begin in enumerate(range(0, len(wanted), per_image)):
        r, a = wanted[begin : begin + per_image].T
        x, y = _places(r, there, size, separation, generator)
        x_, y_, r_, a_ = (
            torch.as_tensor(values, dtype=channel.dtype, device=channel.device) for values in (x, y, r, a)
        )
        seen = _Circles.of(find(add_droplets(channel, x_, y_, r_, a_, **drawing)))
        columns: dict[str, Any] = {"image": image, "x_px": x, "y_px": y, "radius_px": r, "contrast": a}
        parts.append(pd.DataFrame(columns | {"found_radius_px": _found_radii(x, y, r, seen)}))
    droplets = pd.concat(parts, ignore_index=True)
    droplets.insert(5, "found", droplets["found_radius_px"].notna())
    return Recovery(detection_curve(droplets), droplets)


def detection_curve(droplets: pd.DataFrame) -> pd.DataFrame:
    """The ``curve`` of a ``Recovery`` from its ``droplets``; those of several images may be joined before."""
    from scipy.stats import beta

    rows = []
    for (radius, contrast), some in droplets.groupby(["radius_px", "contrast"], sort=True):
        n, k = len(some), int(some["found"].sum())
        error = (some["found_radius_px"] / some["radius_px"] - 1).dropna().to_numpy()
        rows.append(
            {
                "radius_px": radius,
                "contrast": contrast,
                "injected": n,
                "found": k,
                "probability": k / n,
                "q05": float(beta.ppf(0.05, k + 0.5, n - k + 0.5)) if k else 0.0,
                "q95": float(beta.ppf(0.95, k + 0.5, n - k + 0.5)) if k < n else 1.0,
                "radius_bias": float(error.mean()) if k else np.nan,
                "radius_bias_se": float(error.std(ddof=1) / np.sqrt(k)) if k > 1 else np.nan,
            }
        )
    return pd.DataFrame(rows)


def _places(
    r: Array, there: _Circles, size: tuple[int, int], separation: float, generator: np.random.Generator
) -> tuple[Array, Array]:
    """Centres for circles of radii r inside the image, clear of the circles that are there and of each other."""
    height, width = size
    x, y = np.zeros(len(r)), np.zeros(len(r))
    for k in np.argsort(-r):  # the largest first, while there is room
        room_x, room_y = width - 1 - 2 * r[k], height - 1 - 2 * r[k]
        if min(room_x, room_y) < 0:
            raise SettingError(f"a droplet of radius {r[k]:g} px does not fit into {width} x {height} px; try smaller")
        us = r[k] + room_x * generator.random(_TRIES)
        vs = r[k] + room_y * generator.random(_TRIES)
        distance = np.hypot(us[:, None] - there.x, vs[:, None] - there.y)
        clear = np.flatnonzero((distance >= separation * (r[k] + there.r)).all(1))
        if len(clear) == 0:
            raise SettingError(
                f"no room for a droplet of radius {r[k]:g} px clear of the others; give fewer per image, smaller "
                "radii or a smaller separation"
            )
        x[k], y[k] = us[clear[0]], vs[clear[0]]
        there = _Circles(np.append(there.x, x[k]), np.append(there.y, y[k]), np.append(there.r, r[k]))
    return x, y


def _found_radii(x: Array, y: Array, r: Array, seen: _Circles) -> Array:
    """Radius of the droplet seen at each that was put in, (N,), NaN where there is none; one to one."""
    from scipy.optimize import linear_sum_assignment

    radii = np.full(len(x), np.nan)
    distance = np.hypot(x[:, None] - seen.x, y[:, None] - seen.y)
    reach = np.maximum(0.5 * r, 2.0)[:, None]
    # Without a look at the radius a speck of noise near the place would pass for a faint droplet.
    alike = (seen.r < _ALIKE * r[:, None]) & (seen.r > r[:, None] / _ALIKE)
    can = (distance <= reach) & alike
    rows, columns = linear_sum_assignment(np.where(can, distance, 1e6))
    close = can[rows, columns]
    radii[rows[close]] = seen.r[columns[close]]
    return radii


def _check(channel: Tensor, radii: Sequence[float], contrasts: Sequence[float], separation: float) -> None:
    if channel.dim() != 2 or not channel.dtype.is_floating_point:
        raise SettingError(f"channel is {channel.dtype} of shape {tuple(channel.shape)}; give floating point (H, W)")
    if len(radii) == 0 or not all(0 < r < np.inf for r in radii):
        raise SettingError(f"radii_px are {list(radii)}; give one or more positive numbers")
    if len(contrasts) == 0 or not all(np.isfinite(a) and a != 0 for a in contrasts):
        raise SettingError(f"contrasts are {list(contrasts)}; give one or more numbers other than 0")
    if not 0 <= separation < np.inf:
        raise SettingError(f"separation is {separation}; give 0 or a positive number")
