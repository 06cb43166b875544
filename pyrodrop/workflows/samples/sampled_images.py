"""What is taken from a measurement, or from the folder that it was written into, to pool it with others."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pyrodrop.images.reading.mask_file import read_mask
from pyrodrop.recognition.learnt import shared_sd
from pyrodrop.results.statistics.counts import count_distribution
from pyrodrop.results.statistics.image_statistics import ImageStatistics, SampledImage, log_sizes
from pyrodrop.results.statistics.population import Sample
from pyrodrop.results.storage.file_writers import LOOKED_AT
from pyrodrop.results.storage.result_folder import ResultFolder, read_results
from pyrodrop.results.storage.run_files import is_altered
from pyrodrop.workflows.measuring.measurement import Measurement
from pyrodrop.workflows.settings import SettingError

Array = NDArray[np.float64]

CANDIDATES = "candidates.csv"
_DRAWS = 100
# From the 5 % to the 95 % quantile of a normal distribution, in standard deviations.
_FIVE_TO_NINETY_FIVE = 3.29


def of_measurement(measurement: Measurement, name: str) -> SampledImage:
    """A measurement as an image of a sample."""
    radius = measurement.draws["radius_px"].double().numpy()
    thin = max(1, len(radius) // _DRAWS)
    presence = measurement.presence.double().numpy()
    count = measurement.count
    return _image(
        name,
        2 * radius[::thin],
        presence,
        (count.quantile(0.5), count.sd / max(count.mean, 1.0)),
        measurement.pixel_size_um,
        measurement.area_px,
        (measurement.size, measurement.looked_at) if measurement.rules.border == "drop" else None,
        warnings=len(measurement.warnings),
    )


def of_folder(folder: Path, name: str | None = None) -> SampledImage:
    """The results of one image that ``measure`` wrote.

    Where its table was edited by hand, as the table says.

    Raises:
        ResultError: if the folder holds no results.
        SettingError: if they are those of a fit, which was told how many droplets there are.
    """
    run = read_results(folder)
    if "profile" not in run.summary:
        raise SettingError(
            f"{folder} holds no measurement; a fit is told how many droplets there are, so give folders of measure"
        )
    table, whole = _candidates(run)
    known = np.isfinite(table["radius_px"].to_numpy(float)) & (table["radius_px"].to_numpy(float) > 0)
    table = table[known]
    radius = table["radius_px"].to_numpy(float)
    sd = np.nan_to_num(table["radius_px_sd"].to_numpy(float)) if "radius_px_sd" in table else np.zeros(len(table))
    drawn = radius + sd * np.random.default_rng(0).standard_normal((_DRAWS if sd.any() else 1, len(table)))
    presence = np.clip(table["presence"].to_numpy(float), 0, 1)
    size = run.size
    if size is None:
        raise SettingError(f"{folder} does not say how large its image is; measure it again")
    stated = run.summary.get("warnings")
    looked_at = run.summary.get("looked_at")
    area = looked_at.get("area_px") if isinstance(looked_at, Mapping) else None
    return _image(
        name or run.name,
        2 * np.maximum(drawn, 1e-3 * radius),
        presence,
        _count(run, presence, whole),
        run.pixel_size_um,
        float(area) if isinstance(area, int | float) else float(size[0] * size[1]),
        (size, _mask(run, size)) if _drops_at_border(run) else None,
        altered=run.table_altered,
        warnings=len(stated) if isinstance(stated, list) else 0,
    )


def _candidates(run: ResultFolder) -> tuple[pd.DataFrame, bool]:
    """The table with the less probable droplets, too, and whether it is that: not where a person edited the other."""
    path = run.file(CANDIDATES)
    if path is None or run.table_altered or is_altered(run.path, CANDIDATES):
        return run.table, run.table_altered
    table = pd.read_csv(path)
    return (table, True) if {"radius_px", "presence"} <= set(table) else (run.table, False)


def _count(run: ResultFolder, presence: Array, whole: bool) -> tuple[int, float]:
    """The number of droplets, and its standard deviation over its mean."""
    stated = run.summary.get("count")
    number = run.summary.get("n_droplets")
    if not whole and isinstance(stated, Mapping) and isinstance(number, int):
        mean, low, high = (float(stated.get(part) or 0.0) for part in ("mean", "q05", "q95"))
        return number, (high - low) / _FIVE_TO_NINETY_FIVE / max(mean, 1.0)
    count = count_distribution(presence, shared_sd())
    return count.quantile(0.5), count.sd / max(count.mean, 1.0)


def _drops_at_border(run: ResultFolder) -> bool:
    rules = run.summary.get("rules")
    return isinstance(rules, Mapping) and rules.get("border") == "drop"


def _mask(run: ResultFolder, size: tuple[int, int]) -> NDArray[np.bool_] | None:
    path = run.file(LOOKED_AT)
    return None if path is None else read_mask(path, size)


def _image(
    name: str,
    diameters_px: Array,
    presence: Array,
    count: tuple[int, float],
    pixel_size_um: float | None,
    area_px: float,
    dropped: tuple[tuple[int, int], NDArray[np.bool_] | None] | None,
    **further: Any,
) -> SampledImage:
    """An image of its droplets; ``dropped`` is size and mask where droplets that the edge cuts are left out."""
    cut, (size, looked_at) = (None, (None, None)) if dropped is None else (np.zeros(len(presence), bool), dropped)
    sample = Sample.of(diameters_px, presence, cut, size, None, looked_at)._replace(shared_sd=shared_sd())
    length = 1.0 if pixel_size_um is None else pixel_size_um
    logs, errors = log_sizes(sample, length)
    # A droplet that the edge may not cut has less room: as if so much less of the image had been looked at.
    room = sample.presence.sum() / max((sample.presence / sample.room.mean(0)).sum(), 1e-300) if len(presence) else 1.0
    area = area_px * length**2 / 1e6 * (room if dropped is not None else 1.0)
    statistics = ImageStatistics(count[0], count[1], area, logs, errors)
    unit = "px" if pixel_size_um is None else "um"
    return SampledImage(name, statistics, length * diameters_px, presence, unit, **further)
