"""What a page shows of the image: its circles, and beside them the residual, on the same scale."""

from typing import NamedTuple

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from pyrodrop.results.page.droplet_rows import KINDS, circles, kind_of
from pyrodrop.results.page.embedded_pictures import encoded, gray_picture, residual_picture
from pyrodrop.results.storage.file_writers import LOOKED_AT
from pyrodrop.results.storage.result_folder import ResultFolder

# Longer sides are shrunk for the page: more than a screen shows, and a few megabytes at most.
_LONGEST = 2_000
_SPREAD = 5.0  # of the residual's colours, in units of the noise
# Each circle is drawn twice, on a dark one, so that it is seen on any gray; of more, once, to stay quick.
_MOST_HALOS = 3_000
# An image so much wider than high lies above its residual and not beside it.
_WIDE = 1.9


class Views(NamedTuple):
    """The image and its residual, as the page draws them.

    Attributes:
        image, residual: data URIs; no residual where the folder holds none.
        width, height: of the image in px.
        spread: where the residual's colours end, in units of the noise.
        alt: what is seen, in words.
        veiled: whether there are parts that were not looked at, which are shown in fewer grays.
        circles: one SVG circle for each row of the table.
        halos: whether each circle has a dark one below it.
        beside: whether the two stand side by side where there is room.
        legend: kinds of circles and their meanings.
    """

    image: str
    residual: str | None
    width: int
    height: int
    spread: int
    alt: str
    veiled: bool
    circles: Markup
    halos: bool
    beside: bool
    legend: list[tuple[str, str]]


def looked_at_of(run: ResultFolder) -> NDArray[np.bool_] | None:
    """Where the image was looked at, (H, W); None for everywhere, or where the file that says so is damaged."""
    path = run.file(LOOKED_AT)
    if path is None:
        return None
    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("L")) > 0
    except (OSError, ValueError):
        return None


def views(run: ResultFolder) -> Views | None:
    """The image, its circles and its residual; None where the image is not known."""
    image, residual = run.image(), run.residual()
    if image is None:
        return None
    height, width = image.shape
    fits = residual is not None and residual.shape[1:] == image.shape
    kinds = {kind_of(*row) for row in zip(run.table["presence"], run.table["flags"], strict=True)}
    return Views(
        image=encoded(gray_picture(image, _LONGEST, looked_at_of(run))),
        residual=encoded(residual_picture(residual, _SPREAD, _LONGEST)) if residual is not None and fits else None,
        width=width,
        height=height,
        spread=int(_SPREAD),
        alt=f"{run.name} with a circle around each of {len(run.table)} droplets",
        veiled=looked_at_of(run) is not None,
        circles=circles(run.table),
        halos=len(run.table) <= _MOST_HALOS,
        beside=fits and width <= _WIDE * height,
        legend=[(kind, meaning) for kind, meaning in KINDS.items() if kind in kinds],
    )
