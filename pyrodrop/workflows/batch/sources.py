"""The image files that a list of files, folders and patterns stands for."""

import glob
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from pyrodrop.workflows.settings import SettingError

# What is taken out of a folder; a file that is named is taken whatever its suffix.
SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".nd2")


class Source(NamedTuple):
    """One image file.

    Attributes:
        path: the file, absolute.
        name: the file as it was asked for.
        settings: its own, before those of the batch.
        columns: what a sheet says of it, for the tables.
        where: the row of the sheet, for messages.
    """

    path: str
    name: str
    settings: Mapping[str, Any] = MappingProxyType({})
    columns: Mapping[str, str] = MappingProxyType({})
    where: str = ""


def find_sources(paths: Sequence[str | os.PathLike[str]], out: Path) -> list[Source]:
    """The images that paths mean, in their order, those of a folder or pattern by name, and each once.

    Args:
        paths: image files; folders, of which the image files directly in them are taken; and patterns with
            ``*``, ``?``, ``[...]`` and ``**`` for any depth of folders.
        out: the folder of the results; what lies in it is never an image to work on.

    Raises:
        SettingError: if there is no such file, no image in a folder, or nothing that a pattern fits.
    """
    ours = os.path.join(os.path.abspath(out), "")
    sources: dict[str, Source] = {}
    for path in paths:
        name = os.fspath(path)
        for file in _images_of(name, ours):
            absolute = os.path.abspath(file)
            sources.setdefault(absolute, Source(absolute, file))
    if not sources:
        raise SettingError("no image was given; name image files, folders of them, or patterns")
    return list(sources.values())


def _images_of(name: str, ours: str) -> list[str]:
    if os.path.isfile(name):
        return [name]
    if os.path.isdir(name):
        files = sorted(_of_folder(name, ours))
        if not files:
            raise SettingError(f"{name} has no image directly in it; name another, or a pattern as '{name}/**/*.png'")
        return files
    if glob.has_magic(name):
        files = sorted(file for file in _visible(glob.iglob(name, recursive=True), ours) if os.path.isfile(file))
        if not files:
            raise SettingError(f"no file fits the pattern {name!r}; ** stands for any depth of folders")
        return files
    raise SettingError(f"{name} does not exist; check the name and the folder")


def _of_folder(name: str, ours: str) -> Iterator[str]:
    with os.scandir(name) as entries:
        files = [entry.path for entry in entries if entry.name.lower().endswith(SUFFIXES) and entry.is_file()]
    yield from (file for file in _visible(files, ours) if not os.path.basename(file).startswith("."))


def _visible(files: Iterable[str], ours: str) -> Iterator[str]:
    return (file for file in files if not os.path.abspath(file).startswith(ours))
