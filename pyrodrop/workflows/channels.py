"""The channels of an image as the post shows them: ``pyrodrop channels``."""

from typing import Any

from matplotlib.figure import Figure

from pyrodrop.images import Micrograph, read_image
from pyrodrop.results import plots
from pyrodrop.workflows.folder import open_folder, write_figure

SPACES = {"lab": ("L", "a", "b"), "hsv": ("hue", "saturation", "value")}


def channels_figure(image: Micrograph, space: str) -> Figure:
    """Three panels with colour bars: the channels of the colour space ``lab`` or ``hsv``."""
    height, width = image.size
    figure, axes = plots.figure(3, 1, panel=(5.0, 4.3 * height / width + 0.3))
    plots.channels(axes, {name: image.channel(name) for name in SPACES[space]})
    return figure


def channels(path: str, out: str, *, scale: float = 1.0) -> dict[str, Any]:
    """Read an image, write ``lab.png`` and ``hsv.png`` into the folder ``out``, and say where.

    Raises:
        ImageError: if the image cannot be read or is gray.
        SettingError: if the folder cannot be written to.
    """
    image = read_image(path, scale)
    figures = {space: channels_figure(image, space) for space in SPACES}
    folder = open_folder(out)
    for space, figure in figures.items():
        write_figure(figure, folder / f"{space}.png")
    height, width = image.size
    return {"image": path, "width": width, "height": height} | {s: str(folder / f"{s}.png") for s in SPACES}
