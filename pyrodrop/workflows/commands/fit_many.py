"""Several images read, those of one size fitted side by side, and each written as a folder of results."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pyrodrop.workflows.commands.fit import read_fit_subject, write_fit
from pyrodrop.workflows.commands.subject import Subject, split_settings
from pyrodrop.workflows.fit_settings import Count, FitSettings, usual_steps
from pyrodrop.workflows.fitting.many import fit_many
from pyrodrop.workflows.output_folder import open_folder

# As many as this are held and fitted at a time: 64 images of 1,024 by 1,024 px.
MOST_PIXELS = 1 << 26


class Wanted(NamedTuple):
    """An image to be fitted: its file, its picture of several or None, and the folder of its results."""

    path: str
    frame: int | None
    out: str


class _Read(NamedTuple):
    number: int
    wanted: Wanted
    subject: Subject
    seconds: float


def fit_images(
    wanted: Sequence[tuple[str, int | None, str]],
    *,
    channel: str | None = None,
    n_droplets: int | None = None,
    steps: Count | None = None,
    **settings: Any,
) -> Iterator[tuple[int, float]]:
    """Fit images, those of one size side by side, and give the number of each when its results are whole.

    What goes wrong with an image, or with those that it is fitted with, leaves them out: fitted alone by
    ``fit_image``, each of them says for itself what is wrong, or comes out.

    Args:
        wanted: file, picture of several or None, and folder of the results, of each image.
        channel, n_droplets, steps, settings: as for ``fit_image``, of all images.

    Yields:
        The number of an image, and the seconds that it took: its share of those that all took.
    """
    file, given = split_settings(settings)
    given["steps"] = steps or usual_steps(given.get("start", FitSettings.start))
    given |= {"n_droplets": n_droplets or FitSettings.n_droplets, "progress": False}
    waiting: dict[tuple[int, ...], list[_Read]] = {}
    held = 0
    for number, image in enumerate(Wanted(*each) for each in wanted):
        begun = time.monotonic()
        try:
            subject = read_fit_subject(image.path, channel, {**file, "frame": image.frame})
            pixels = subject.pixels
        except Exception:
            continue
        if held + pixels.numel() > MOST_PIXELS:
            yield from _fit_those(waiting, given)
            waiting, held = {}, 0
        held += pixels.numel()
        waiting.setdefault(tuple(pixels.shape), []).append(_Read(number, image, subject, time.monotonic() - begun))
    yield from _fit_those(waiting, given)


def _fit_those(waiting: dict[tuple[int, ...], list[_Read]], given: dict[str, Any]) -> Iterator[tuple[int, float]]:
    for group in waiting.values():
        try:
            fits = fit_many([read.subject.pixels for read in group], **given)
        except Exception:  # one of them, or too many for the memory
            continue
        for read, fit in zip(group, fits, strict=True):
            begun = time.monotonic()
            try:
                write_fit(fit, read.subject, open_folder(Path(read.wanted.out)))
            except Exception:
                continue
            yield read.number, read.seconds + fit.seconds + time.monotonic() - begun
