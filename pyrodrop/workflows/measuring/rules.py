"""Which droplets count by a person's word: of these radii, brighter or darker than what is around, not cut by an edge.

A rule is applied to the posterior and not to its mean: the probability that a droplet keeps to it multiplies the
probability that it is there, and its draws are those that keep to it. So a droplet whose radius may as well be within a
limit as beyond it counts as half.
"""

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyrodrop.results.statistics.edge_distance import edge_distance
from pyrodrop.workflows.settings import SettingError, one_of

Array = NDArray[np.float64]

POLARITIES = ("bright", "dark", "both")
BORDERS = ("keep", "drop")
# No radius is larger, in px; a limit beyond is none that anybody means.
_FARTHEST = 1e9


class Rules(NamedTuple):
    """What a droplet has to be to be counted.

    radius_px: least and greatest radius of half height in px, 0 and infinity for none. polarity: "bright" for droplets
    that are brighter than what is around them, "dark" for darker ones, or "both". border: "drop" leaves out those whose
    circles are cut by the border of the image, or of what of it was looked at; "keep" does not.
    """

    radius_px: tuple[float, float] = (0.0, math.inf)
    polarity: str = "both"
    border: str = "keep"

    def as_dict(self) -> dict[str, Any]:
        """What a summary says of the rules; a limit of the radius that is none is None."""
        low, high = self.radius_px
        return {
            "radius_px": [low or None, None if high == math.inf else high],
            "polarity": self.polarity,
            "border": self.border,
        }


EVERYTHING = Rules()


def checked_rules(radius_px: Any, polarity: str, border: str) -> Rules:
    """The rules that a caller gives.

    Raises:
        SettingError: for limits that are no two numbers, the second the larger, or words that are not known.
    """
    limits = radius_px if isinstance(radius_px, Sequence | np.ndarray) and len(radius_px) == 2 else None
    low, high = (None, None) if limits is None else limits
    least, most = 0.0 if low is None else low, math.inf if high is None else high
    numbers = all(isinstance(v, Real) and not isinstance(v, bool) for v in (least, most))
    if limits is None or not numbers or not 0 <= least < most or least > _FARTHEST or _FARTHEST < most < math.inf:
        raise SettingError(
            f"radius_px is {radius_px!r}, expected two numbers of px, the least and the greatest radius that counts; "
            "None for no limit",
            "radius_px",
        )
    return Rules(
        (float(least), float(most)), one_of("polarity", polarity, POLARITIES), one_of("border", border, BORDERS)
    )


def keeping_to(
    rules: Rules, drawn: Mapping[str, Array], noise: Array, size: tuple[int, int], looked_at: NDArray[np.bool_] | None
) -> NDArray[np.bool_]:
    """Which draws of each droplet keep to the rules, (draws, N).

    Args:
        rules: those that hold.
        drawn: x_px, y_px and radius_px, (draws, N), and amplitude, (draws, C, N).
        noise: standard deviation of the noise of each channel, (C,): a droplet is bright or dark by the channel in
            which it is strongest, its amplitude over the noise.
        size: height and width of the image in px.
        looked_at: pixels that were looked at, (H, W); None for all.
    """
    radius = drawn["radius_px"]
    keeps = (radius >= rules.radius_px[0]) & (radius <= rules.radius_px[1])
    if rules.polarity != "both":
        heights = drawn["amplitude"]
        strongest = np.abs(heights.mean(0) / noise[:, None]).argmax(0)
        of_strongest = heights[:, strongest, np.arange(heights.shape[2])]
        keeps &= of_strongest > 0 if rules.polarity == "bright" else of_strongest < 0
    if rules.border == "drop":
        keeps &= edge_distance(drawn["x_px"], drawn["y_px"], size, looked_at) >= radius
    return np.asarray(keeps)


def those_keeping(
    drawn: Mapping[str, Array], keeps: NDArray[np.bool_], generator: np.random.Generator
) -> dict[str, Array]:
    """The draws with those of a droplet that do not keep to the rules in the place of which others of it stand.

    Args:
        drawn: draws (draws, ..., N).
        keeps: which of them keep to the rules, (draws, N); of a droplet of which none does, nothing changes.
        generator: of random numbers.
    """
    count, n = keeps.shape
    taken = np.tile(np.arange(count)[:, None], (1, n))
    for k in np.flatnonzero(keeps.any(0) & ~keeps.all(0)):
        taken[~keeps[:, k], k] = generator.choice(np.flatnonzero(keeps[:, k]), int((~keeps[:, k]).sum()))
    return {
        name: np.take_along_axis(values, taken if values.ndim == 2 else taken[:, None], 0)
        for name, values in drawn.items()
    }
