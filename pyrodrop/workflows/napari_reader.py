"""A folder of results as layers for napari: image, residual and circles. Does not import napari."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pyrodrop.results.storage.result_folder import ResultError, ResultFolder, is_results, read_results

if TYPE_CHECKING:
    import pandas as pd

# Where a layer notes which folder it is of.
FOLDER = "pyrodrop_folder"
# What napari makes a layer from: its data, its properties, and its kind.
Layer = tuple[Any, dict[str, Any], str]

_SPREAD = 5.0  # of the residual's colours, in units of the noise
_COLOUR = "#ff4b33"
_LINE, _THICKEST = 1 / 600, 0.15  # width of a circle's line: share of the image's longer side, at most of its diameter


def reader_of(path: str | Sequence[str]) -> Callable[[str | Sequence[str]], list[Layer]] | None:
    """What napari asks: who reads this path? ``read_layers`` for results, None for anything else."""
    return read_layers if all(_is_ours(_folder(each)) for each in _several(path)) else None


def read_layers(path: str | Sequence[str]) -> list[Layer]:
    """The layers of one or several folders of results, or of the ``droplets.csv`` in them.

    Of each folder, where it has them: the image, of several channels as a stack, and, hidden at first, the residual
    in units of the noise; above them a point of its diameter for each droplet, with the whole table as its features.
    With a known size of a pixel the scale is micrometres.

    Raises:
        ResultError: if a folder holds no results, or damaged ones.
    """
    layers: list[Layer] = []
    for each in _several(path):
        layers += _layers_of(_folder(each))
    return layers


def _layers_of(folder: Path) -> list[Layer]:
    run = read_results(folder)
    side = run.pixel_size_um or 1.0
    channels, residual, table = run.channels(), run.residual(), run.table
    common = {"scale": (side, side), "metadata": {"pyrodrop": dict(run.summary), FOLDER: str(folder.absolute())}}
    layers: list[Layer] = []
    if channels is not None:
        layers.append((_plain(channels), {**common, "name": run.name, "colormap": "gray"}, "image"))
    if residual is not None:
        residual = _plain(residual)
        look = {"colormap": "PiYG", "contrast_limits": (-_SPREAD, _SPREAD), "visible": False}
        layers.append((residual, {**common, **look, "name": f"{run.name}: residual / noise"}, "image"))
    centres = table[["y_px", "x_px"]].to_numpy(dtype=np.float64)
    look = {
        "size": 2 * table["radius_px"].to_numpy(dtype=np.float64),
        "symbol": "disc",
        "face_color": "transparent",
        "border_color": _COLOUR,
        # Thin beside the droplet, so that its rim is seen, yet to be seen on a large image as a whole.
        "border_width": np.minimum(_LINE * _longest(run, table), _THICKEST * 2 * table["radius_px"].to_numpy()),
        "border_width_is_relative": False,
        "features": table,
    }
    layers.append((centres, {**common, **look, "name": f"{run.name}: droplets"}, "points"))
    return layers


def _plain(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """One channel as (H, W); several stay (C, H, W), and napari shows a slider for them."""
    return pixels[0] if len(pixels) == 1 else pixels


def _longest(run: ResultFolder, table: "pd.DataFrame") -> float:
    """Longer side of the image in px, or of what the droplets span where it is not known."""
    if run.size is not None:
        return float(max(run.size))
    return float(table[["x_px", "y_px"]].to_numpy().max(initial=1.0))


def _several(path: str | Sequence[str]) -> Sequence[str]:
    return [path] if isinstance(path, str | Path) else path


def _folder(path: str) -> Path:
    named = Path(path)
    return named.parent if named.name == "droplets.csv" else named


def _is_ours(folder: Path) -> bool:
    if not is_results(folder):
        return False
    try:
        read_results(folder)
    except ResultError:
        return False
    return True
