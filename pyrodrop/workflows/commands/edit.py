"""Results that a person corrects, written anew as a folder of their own: ``pyrodrop edit``."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pyrodrop.images import ImageError, Micrograph, read_image
from pyrodrop.images.reading.white_level import BRIGHTEST
from pyrodrop.images.simulation.simulate import embedded
from pyrodrop.results.storage.checkpoint import CheckpointError
from pyrodrop.results.storage.result_folder import ResultError, ResultFolder, read_results
from pyrodrop.results.storage.run_files import digest_of, is_altered
from pyrodrop.workflows.commands.edits_file import read_edits
from pyrodrop.workflows.commands.measured_folder import write_measurement
from pyrodrop.workflows.commands.subject import EMBEDDED, Subject
from pyrodrop.workflows.commands.where_to_look import LookSettings, split_look
from pyrodrop.workflows.measuring.measurement import Measurement
from pyrodrop.workflows.measuring.saved import parts_in
from pyrodrop.workflows.output_folder import open_folder
from pyrodrop.workflows.settings import SettingError

# What an edit is made from; each has to be as the run wrote it.
_NEEDED = ("fit.pt", "image.tif", "droplets.csv", "candidates.csv")
# An image is the one that was measured where hardly a pixel differs by more than hot pixels do.
_SAME, _NEARLY_ALL = 2e-3, 0.99


def edit_folder(
    folder: str | os.PathLike[str], edits: str | os.PathLike[str], out: str | os.PathLike[str] | None = None
) -> dict[str, Any]:
    """Apply a file of edits to the results of ``pyrodrop measure``, and write what comes of it as a new folder.

    Args:
        folder: the results. They stay as they are.
        edits: a JSON file, see ``edits_file.read_edits``.
        out: the new folder; the name of the old one with ``-edited`` where not given.

    Returns:
        The summary, and where the results are.

    Raises:
        SettingError: the folder holds nothing that can be edited, or was altered since it was written; or the edits are
            none of its droplets and of places in its image.
    """
    path = Path(folder)
    results = Path(f"{path.absolute()}-edited") if out is None else Path(out)
    run = _run_of(path)
    try:
        measurement = Measurement(*parts_in(path / "fit.pt"))
    except CheckpointError as error:
        raise SettingError(str(error)) from error
    asked = read_edits(Path(edits), measurement.size, digest_of(path, "droplets.csv"))
    if results.absolute() == path.absolute() or (results.exists() and results.samefile(path)):
        raise SettingError(f"out {results} is the folder that is edited, which stays as it is; name another", "out")
    edited = measurement.edit(**asked)
    target = open_folder(results)
    summary = run.summary
    channel = str(summary.get("channel"))
    subject = _subject(str(summary.get("image")), channel, edited)
    # What no edit changes.
    carried = {name: summary[name] for name in ("device", "weights", "black_level") if name in summary}
    written = write_measurement(edited, subject, target, carried, _look(summary))
    counts = {kind: number for kind, number in written["edits"].items() if kind != "list"}
    return written | {"edits": counts, "results": str(results)}


def _run_of(path: Path) -> ResultFolder:
    """The results, which have to be those of a measurement of one image, as they were written."""
    try:
        run = read_results(path)
    except ResultError as error:
        raise SettingError(str(error)) from error
    if "tiles" in run.summary:
        raise SettingError(f"{path} was measured in tiles, which cannot be edited yet; measure a part of it without")
    if "learning_rate" in run.summary:
        raise SettingError(
            f"{path} holds a fit of a given number of droplets; edits are of results of pyrodrop measure"
        )
    for name in _NEEDED:
        if not (path / name).is_file():
            raise SettingError(f"{path} lacks {name}, without which it cannot be edited; measure the image again")
        if is_altered(path, name):
            raise SettingError(
                f"{path / name} was altered since it was written, and its ids may be of other droplets; measure the "
                "image again, and edit that"
            )
    return run


def _look(summary: Mapping[str, Any]) -> LookSettings:
    """Where the run was told to look, as its summary has it."""
    stated = summary.get("looked_at")
    return split_look(stated)[0] if isinstance(stated, Mapping) else {}


def _subject(name: str, channel: str, measurement: Measurement) -> Subject:
    """What figures show: the image itself where its file is still there and the same, else what was measured of it."""
    if name == EMBEDDED:
        image, truth = embedded()
        if _same(image, channel, measurement):
            return Subject(image, name, channel, truth)
    else:
        try:
            image = read_image(name, white=BRIGHTEST)
            if _same(image, channel, measurement):
                return Subject(image, name, channel)
        except (ImageError, OSError, ValueError):  # moved away, or of several frames; what was measured is at hand
            pass
    pixels = measurement.channels.movedim(0, -1)
    return Subject(Micrograph(pixels, measurement.pixel_size_um, channel_names=measurement.names), name, channel)


def _same(image: Micrograph, channel: str, measurement: Measurement) -> bool:
    if image.size != measurement.size or channel not in image.channels:
        return False
    apart = np.abs(image.channel(channel).numpy() - measurement.channels[0].numpy())
    return float((apart < _SAME).mean()) > _NEARLY_ALL
