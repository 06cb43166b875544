"""What a painted droplet is: one row of numbers, one name a column.

A droplet is an outline, a radial curve (a body, a core and up to three rings, with fringes about the edge), light and
shadow on the body, highlights, texture, and a way of mixing with what lies below. Lengths are in px of the painted
grid, heights are in units of the contrast of the patch.
"""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

# fmt: off
NAMES: Final = (
    # Outline: centre, geometric mean of the half axes, minor over major, direction of the major axis in radians,
    # and two waves along the outline: number of periods, relative height, phase.
    "x", "y", "r", "ratio", "angle", "mode1", "wave1", "phase1", "mode2", "wave2", "phase2",
    # Body: height, brighter at the rim than in the middle by bowl, share of a Gaussian, exponent of a dome
    # (1 - q)^dome (0: none), width of the edge.
    "body", "bowl", "gauss", "dome", "edge",
    # Core: height, radius in units of r, width of its edge.
    "core", "core_r", "core_edge",
    # Rings: height, distance from the outline inwards, width outwards, width inwards over that outwards.
    "ring1", "ring1_at", "ring1_w", "ring1_in", "ring2", "ring2_at", "ring2_w", "ring2_in",
    "ring3", "ring3_at", "ring3_w", "ring3_in",
    # Fringes: height at the edge, wavelength, decay outwards and inwards (0: none), phase.
    "fringe", "fringe_wave", "fringe_out", "fringe_in", "fringe_phase",
    # Light on the body: 0 none, 1 linear, 2 step, 3 sphere lit from a side; strength, direction, softness.
    "light", "light_strength", "light_angle", "light_soft",
    # Highlights: height, place in units of r, width in units of r.
    "spot1", "spot1_x", "spot1_y", "spot1_w", "spot2", "spot2_x", "spot2_y", "spot2_w",
    # Texture inside: strength, and where in the picture of textures it is read.
    "texture", "texture_x", "texture_y", "texture_zoom",
    # Mixing: opacity, the level that it covers with, and how: 0 over, 1 larger, 2 smaller, 3 product.
    "opacity", "level", "mix",
)
# fmt: on

COLUMN: Final = {name: i for i, name in enumerate(NAMES)}
OVER, LARGER, SMALLER, PRODUCT = range(4)
PLAIN, LINEAR, STEP, SPHERE = range(4)


class Droplets:
    """A table of droplets, shape (n, columns), whose columns are attributes that can be read and set.

    Every column not set is 0, but for ``ratio``, 1, ``edge``, 0.3 px, and the widths, 1.
    """

    rows: NDArray[np.float64]

    def __init__(self, n: int) -> None:
        rows = np.zeros((n, len(NAMES)))
        for name in ("ratio", "ring1_w", "ring1_in", "ring2_w", "ring2_in", "ring3_w", "ring3_in", "fringe_wave"):
            rows[:, COLUMN[name]] = 1.0
        for name in ("core_edge", "light_soft", "spot1_w", "spot2_w", "texture_zoom"):
            rows[:, COLUMN[name]] = 1.0
        rows[:, COLUMN["edge"]] = 0.3
        self.__dict__["rows"] = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getattr__(self, name: str) -> NDArray[np.float64]:
        if name not in COLUMN:
            raise AttributeError(f"a droplet has no column {name!r}; it has {', '.join(NAMES)}")
        return self.rows[:, COLUMN[name]]

    def __setattr__(self, name: str, value: ArrayLike) -> None:
        if name == "rows":
            self.__dict__["rows"] = np.asarray(value)
            return
        if name not in COLUMN:
            raise AttributeError(f"a droplet has no column {name!r}; it has {', '.join(NAMES)}")
        self.rows[:, COLUMN[name]] = value

    def take(self, which: NDArray[np.intp] | NDArray[np.bool_]) -> "Droplets":
        """The droplets of these numbers, or where this is true, as a table of their own."""
        part = Droplets(0)
        part.rows = self.rows[which].copy()
        return part

    def put(self, which: NDArray[np.intp] | NDArray[np.bool_], part: "Droplets") -> None:
        """Write the rows of another table in the place of these."""
        self.rows[which] = part.rows
