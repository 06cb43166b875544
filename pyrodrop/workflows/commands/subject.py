"""The image that a command works on: read from a file, or the micrograph that pyrodrop makes, with its truth."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

import pandas as pd
from torch import Tensor

from pyrodrop.images import ImageError, Micrograph, read_image
from pyrodrop.images.reading.pixel_size import positive_pixel_size
from pyrodrop.images.reading.white_level import positive_white
from pyrodrop.images.scaling import positive_scale
from pyrodrop.images.simulation.simulate import COLOUR_CHANNEL, embedded
from pyrodrop.workflows.settings import SettingError

EMBEDDED = "embedded micrograph"


class FileSettings(TypedDict, total=False):
    """How a file is read: the arguments of ``pyrodrop.read_image`` but for its path."""

    scale: float
    frame: int | None
    white: float | str | None
    pixel_size_um: float | None


@dataclass(frozen=True)
class Subject:
    """What is fitted or measured: a micrograph, one of its channels, and the truth where it is known."""

    image: Micrograph
    name: str
    channel: str
    truth: pd.DataFrame | None = None

    @property
    def pixels(self) -> Tensor:
        """The channel, (H, W)."""
        return self.image.channel(self.channel)

    @property
    def shown(self) -> Tensor:
        """What a figure shows it by: (H, W, 3) of a colour image, else the channel, (H, W)."""
        colours = self.image.pixels.shape[-1] == 3 and not self.image.channel_names
        return self.image.pixels if colours else self.pixels

    def __str__(self) -> str:
        height, width = self.image.size
        return f"{self.name}, {width} x {height} px, {self.channel}"


def split_settings(settings: Mapping[str, Any]) -> tuple[FileSettings, dict[str, Any]]:
    """The settings of a command as those of reading the file and all others."""
    others, file = dict(settings), FileSettings()
    if "scale" in settings:
        file["scale"] = others.pop("scale")
    if "frame" in settings:
        file["frame"] = others.pop("frame")
    if "white" in settings:
        file["white"] = others.pop("white")
    if "pixel_size_um" in settings:
        file["pixel_size_um"] = others.pop("pixel_size_um")
    return file, others


def check_file_settings(file: FileSettings) -> None:
    """Raise ``ImageError`` for what no file could be read with."""
    positive_scale(file.get("scale", 1.0))
    positive_white(file.get("white"))
    positive_pixel_size(file.get("pixel_size_um"))


def read_subject(
    path: str | None, channel: str | None, file: FileSettings, usual: Callable[[Micrograph], str]
) -> Subject:
    """Read the image to be worked on, or make the embedded micrograph.

    Args:
        path: an image file, or None for the embedded micrograph.
        channel: its name; None for the usual one, and of the embedded micrograph for saturation.
        file: how it is read.
        usual: the channel of a file where none was named.

    Raises:
        ImageError: the file cannot be read.
        SettingError: something about a file was asked of the embedded micrograph.
    """
    if path is not None:
        if os.path.isdir(path):
            raise ImageError(f"{path} is a folder: give one image file, or do all in it with pyrodrop batch {path}.")
        image = read_image(path, **file)
        return Subject(image, path, channel or usual(image))
    asked = [name for name, value in file.items() if value not in (None, 1.0)]
    if asked:
        raise SettingError(
            f"{', '.join(asked)}: about a file, and the embedded micrograph is none; give an IMAGE, or leave that out",
            *asked,
        )
    image, truth = embedded()
    channel = channel or COLOUR_CHANNEL
    return Subject(image, EMBEDDED, channel, truth if channel == COLOUR_CHANNEL else None)
