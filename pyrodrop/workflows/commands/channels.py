"""The channels of an image drawn, those of colours as the post shows them: ``pyrodrop channels``."""

from typing import Any

from matplotlib.figure import Figure

from pyrodrop.images import Micrograph, read_image
from pyrodrop.results.figures import fit_figures as plots
from pyrodrop.results.storage.file_writers import write_figure
from pyrodrop.workflows.output_folder import open_folder

SPACES: dict[str, tuple[str, ...]] = {"lab": ("L", "a", "b"), "hsv": ("hue", "saturation", "value")}


def channels_figure(image: Micrograph, names: tuple[str, ...]) -> Figure:
    """A panel with a colour bar for each of these channels of an image, one below the other."""
    height, width = image.size
    figure, axes = plots.figure(len(names), 1, panel=(5.0, 4.3 * height / width + 0.3))
    plots.channels(axes, {name: image.channel(name) for name in names})
    return figure


def figures_of(image: Micrograph) -> dict[str, tuple[str, ...]]:
    """The figures that show an image, by name, each with its channels: ``lab`` and ``hsv``, or ``channels``.

    Channels that a file names alike go by their numbers.
    """
    if image.pixels.shape[-1] == 3 and not image.channel_names:
        return SPACES
    own = image.channel_names or ("gray",)
    return {"channels": tuple(name if own.count(name) == 1 else str(index) for index, name in enumerate(own))}


def channels(path: str, out: str, *, scale: float = 1.0, frame: int | None = None) -> dict[str, Any]:
    """Read an image, draw its channels into the folder ``out``, and say which there are and where they are drawn.

    Colours are drawn as ``lab.png`` and ``hsv.png``, gray and channels of the file's own as ``channels.png``; where
    the level of white is uncertain, the highest number of the image is taken for it.

    Args:
        path: the file.
        out: the folder, made where it is missing.
        scale: as for ``read_image``.
        frame: as for ``read_image``.

    Raises:
        ImageError: if the image cannot be read.
        SettingError: if the folder cannot be written to.
    """
    image = read_image(path, scale, frame=frame, white="brightest")
    figures = {name: channels_figure(image, shown) for name, shown in figures_of(image).items()}
    folder = open_folder(out)
    for name, figure in figures.items():
        write_figure(figure, folder / f"{name}.png")
    height, width = image.size
    facts: dict[str, Any] = {"image": path, "width": width, "height": height, "names": list(image.channels)}
    return facts | {name: str(folder / f"{name}.png") for name in figures}
