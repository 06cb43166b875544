"""Samples of several images each pooled and compared: ``pyrodrop.compare``."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from pyrodrop.results.statistics.image_statistics import FEWEST, SampledImage
from pyrodrop.results.statistics.pooled import ENOUGH_IMAGES
from pyrodrop.results.storage.batch_folder import read_batch
from pyrodrop.results.storage.result_folder import ResultError, is_results
from pyrodrop.workflows.measuring.measurement import Measurement
from pyrodrop.workflows.samples.comparison import Comparison
from pyrodrop.workflows.samples.pooling import pool
from pyrodrop.workflows.samples.sampled_images import of_folder, of_measurement
from pyrodrop.workflows.settings import SettingError, whole

Measured = Measurement | str | os.PathLike[str]


def compare(samples: Mapping[str, Sequence[Measured]], *, seed: int = 0) -> Comparison:
    """Pool the images of each sample, and compare the samples.

    A hierarchical model takes the images of a sample for some of those that could have been taken: each has a number
    per area and sizes of its own, and how far these differ is learnt, too. So the intervals hold the differences
    between images, the uncertainty of each droplet, and having seen only so many. Pooled are the number per area (its
    mean over images) and the sizes (those of the typical image): mean and standard deviation, quantiles by number and
    volume, Sauter and De Brouckere mean, span. Of one or two images how far images differ hangs on what may be
    expected, a half-Cauchy prior with a median of 20 % for sizes and 50 % for numbers; then there is a warning.

    Args:
        samples: measurements by the name of their sample, in the order in which they are to be compared: each with all
            before it. A folder that ``measure`` or ``batch`` has written stands for the measurements in it.
        seed: of all randomness.

    Returns:
        A ``Comparison``: ``samples``, ``differences`` and ``images`` are tables, ``words`` sentences for a paper, and
        ``save`` writes all that and figures into a folder.

    Raises:
        SettingError: for no sample, a sample without images, an image that is in it twice or in two of them, folders
            without results, and lengths in micrometres for some images and in pixels for others.

    Example:
        >>> import pyrodrop
        >>> def image(seed, radius_px):
        ...     picture, truth = pyrodrop.simulate(12, (80, 80), seed=seed, kind="gray", radius_px=radius_px)
        ...     return pyrodrop.measure(picture)
        >>> small, large = [image(1, (3, 5)), image(2, (3, 5))], [image(3, (6, 8)), image(4, (6, 8))]
        >>> compared = pyrodrop.compare({"control": small, "treated": large})
        >>> medians = compared.differences.set_index("statistic").loc["dn50"]
        >>> bool(medians["ratio"] > 1.3), bool(medians["probability_larger"] > 0.9)
        (True, True)
    """
    if not isinstance(samples, Mapping) or not samples:
        raise SettingError(
            "samples is no mapping of a name to measurements; give {'control': [m1, m2], ...}", "samples"
        )
    _refuse_twice(samples)
    try:
        images = {str(name): list(_images_of(given)) for name, given in samples.items()}
    except ResultError as error:
        raise SettingError(str(error)) from error
    return compare_images(images, seed)


def compare_images(images: Mapping[str, Sequence[SampledImage]], seed: int = 0) -> Comparison:
    """Pool and compare the images of samples; see ``compare``.

    Raises:
        SettingError: for a sample without images, and for lengths in micrometres and in pixels.
    """
    seed = whole("seed", seed)
    for name, own in images.items():
        if not own:
            raise SettingError(f"sample {name} has no image; give at least one, better three or more")
    every = [image for own in images.values() for image in own]
    without = [image.name for image in every if image.unit == "px"]
    if 0 < len(without) < len(every):
        raise SettingError(
            f"the size of a pixel is not known of {_some(without)}, and of others it is; measure these again with "
            "pixel_size_um, so that all lengths are micrometres"
        )
    unit = every[0].unit
    pooled = pool({name: [image.statistics for image in own] for name, own in images.items()}, unit, seed)
    return Comparison({name: tuple(own) for name, own in images.items()}, pooled, _warnings(images), seed)


def _refuse_twice(samples: Mapping[str, Sequence[Measured]]) -> None:
    """Raise ``SettingError`` where an image is given twice: it would count for two that agree."""
    seen: dict[object, str] = {}
    for name, given in samples.items():
        if isinstance(given, str | os.PathLike | Measurement):
            raise SettingError(f"sample {name} is {given!r}, expected a list of measurements", "samples")
        for number, measured in enumerate(given):
            is_path = isinstance(measured, str | os.PathLike)
            if not is_path and not isinstance(measured, Measurement):
                raise SettingError(
                    f"sample {name} holds a {type(measured).__name__}, expected what pyrodrop.measure returns, or the "
                    "folder of its results",
                    "samples",
                )
            key = os.path.realpath(os.fspath(measured)) if isinstance(measured, str | os.PathLike) else id(measured)
            if key in seen:
                what = str(measured) if is_path else f"measurement {number + 1} of sample {name}"
                raise SettingError(f"{what} is in sample {seen[key]} already; give each image once", "samples")
            seen[key] = name


def _images_of(measured: Iterable[Measured]) -> Iterator[SampledImage]:
    for number, each in enumerate(measured, 1):
        if isinstance(each, Measurement):
            yield of_measurement(each, f"image {number}")
        elif is_results(Path(each)):
            yield of_folder(Path(each))
        else:
            batch = read_batch(Path(each))
            yield from (of_folder(batch.path / held, name or None) for held, name in batch.names.items())


def _warnings(images: Mapping[str, Sequence[SampledImage]]) -> tuple[str, ...]:
    """What to be wary of, sample by sample."""
    warnings = []
    for name, own in images.items():
        if len(own) < ENOUGH_IMAGES:
            number = "one image" if len(own) == 1 else f"{len(own)} images"
            warnings.append(
                f"{name} has {number}: how far its images differ is mostly what may be expected (a prior), not what "
                "they say, and the intervals hang on that; three images or more tell it"
            )
        few = [image.name for image in own if not np.isfinite(image.statistics.log_sizes).all()]
        if few:
            warnings.append(
                f"{name}: {_some(few)} with fewer than {FEWEST} droplets count for the number per area, but not for "
                "sizes"
            )
        altered = [image.name for image in own if image.altered]
        if altered:
            warnings.append(f"{name}: the tables of {_some(altered)} were edited since the run, and taken as they are")
        doubtful = [image.name for image in own if image.warnings]
        if doubtful:
            warnings.append(f"{name}: {_some(doubtful)} have warnings of their own, which hold here, too")
    return tuple(warnings)


def _some(names: Sequence[str]) -> str:
    """Names of images, the first three of many."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
