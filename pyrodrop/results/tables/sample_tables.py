"""Tables of samples: one row a sample and statistic, a pair of samples and statistic, an image, or a bin of sizes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pyrodrop.results.statistics.distributions import SampleDistributions
from pyrodrop.results.statistics.image_statistics import NUMBER, SIZES, SampledImage
from pyrodrop.results.statistics.pooled import AREAS, Difference, Interval, PooledSample, unit_of

_NINETY = 1.645


def samples_table(pooled: Iterable[PooledSample]) -> pd.DataFrame:
    """One row a sample and statistic: its value with its 90 % interval, and how far images differ, relative to it."""
    columns = ["sample", "statistic", "unit", *_columns("value"), *_columns("between_images"), "images", "droplets"]
    rows = [
        {"sample": sample.name, "statistic": name, "unit": unit_of(name, sample.unit)}
        | _cells("value", Interval.of(draws))
        | _cells("between_images", Interval.of(sample.spread[name]))
        | {"images": sample.images, "droplets": sample.droplets}
        for sample in pooled
        for name, draws in sample.values.items()
    ]
    return pd.DataFrame(rows, columns=columns)


def differences_table(differences: Iterable[Difference], unit: str) -> pd.DataFrame:
    """One row a pair of samples and statistic: difference and ratio with their 90 % intervals."""
    columns = ["sample", "compared_with", "statistic", "unit", *_columns("difference"), *_columns("ratio")]
    rows = [
        {"sample": d.of, "compared_with": d.to, "statistic": d.statistic, "unit": unit_of(d.statistic, unit)}
        | _cells("difference", d.difference)
        | _cells("ratio", d.ratio)
        | {"probability_larger": d.probability_larger}
        for d in differences
    ]
    return pd.DataFrame(rows, columns=[*columns, "probability_larger"])


def images_table(samples: Mapping[str, Sequence[SampledImage]]) -> pd.DataFrame:
    """One row an image: its number of droplets, area, and sizes, each with the 90 % interval of that image alone."""
    rows: list[dict[str, Any]] = []
    for sample, images in samples.items():
        for image in images:
            said = image.statistics
            row: dict[str, Any] = {"sample": sample, "image": image.name, "droplets": said.number}
            row |= {f"area_{AREAS[image.unit]}": said.area, NUMBER: said.number / said.area, "unit": image.unit}
            for name, log, error in zip(SIZES, said.log_sizes, said.errors, strict=True):
                row[name] = np.exp(log)
                row |= {f"{name}_q05": np.exp(log - _NINETY * error), f"{name}_q95": np.exp(log + _NINETY * error)}
            rows.append(row)
    return pd.DataFrame(rows)


def distributions_table(distributions: SampleDistributions) -> pd.DataFrame:
    """One row a bin of diameters, of each image and, with an empty ``image``, of all droplets of a sample."""
    low, high = distributions.edges[:-1], distributions.edges[1:]
    ends = {f"from_{distributions.unit}": low, f"to_{distributions.unit}": high}
    parts = [
        pd.DataFrame({"sample": sample, "image": image, **ends, "share": share})
        for sample, pooled in distributions.pooled.items()
        for image, share in [("", pooled), *distributions.images[sample]]
    ]
    return pd.concat(parts, ignore_index=True)


def _columns(name: str) -> list[str]:
    return [name, f"{name}_q05", f"{name}_q95"]


def _cells(name: str, interval: Interval) -> dict[str, float]:
    return dict(zip(_columns(name), interval, strict=True))
