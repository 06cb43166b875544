"""Samples in sentences that can go into a paper: what each has, and by how much they differ."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

import pyrodrop
from pyrodrop.results.page.number_format import decimals_for, show
from pyrodrop.results.statistics.image_statistics import NUMBER
from pyrodrop.results.statistics.pooled import ENOUGH_IMAGES, Difference, Interval, PooledSample

_UNITS = {"um": "µm", "px": "px"}
_AREAS = {"um": "mm²", "px": "million pixels"}
_SAID = {"dn50": "median diameter by number", "d_3_2": "Sauter mean diameter"}
_FEW = "Its images are too few to tell how far they differ, for which a half-Cauchy prior stands."
# Beyond these a probability from some thousand draws is not told apart from certainty.
_CERTAIN = 0.999


def comparison_text(pooled: Sequence[PooledSample], differences: Sequence[Difference]) -> str:
    """How the samples were pooled, what each has, and the ratios of their median and Sauter mean diameters."""
    sentences = [_sample(sample) for sample in pooled]
    sentences += [_difference(difference) for difference in differences if difference.statistic in _SAID]
    if not sentences:
        return ""
    return (
        f"Images were pooled by sample with pyrodrop {pyrodrop.__version__}: a hierarchical model takes the images of "
        "a sample for some of those that could have been taken, each with a number per area and sizes of its own. "
        + " ".join(sentences)
        + " In brackets, 90 % credible intervals, which hold differences between the images of a sample."
    )


def _sample(sample: PooledSample) -> str:
    images = f"{sample.images} image{'s' if sample.images > 1 else ''}"
    said = [
        f"a {words} of {_with(sample.values[name], f' {_UNITS[sample.unit]}')}"
        for name, words in _SAID.items()
        if name in sample.values
    ]
    number = _with(sample.values[NUMBER], "")
    sizes = f", with {' and '.join(said)}" if said else ""
    few = "" if sample.images >= ENOUGH_IMAGES else f" {_FEW}"
    return (
        f"Sample {sample.name} ({sample.droplets} droplets in {images}) had {number} droplets per "
        f"{_AREAS[sample.unit]}{sizes}.{few}"
    )


def _difference(d: Difference) -> str:
    value, ends = _shown(d.ratio)
    words = _SAID[d.statistic]
    return f"The {words} of {d.of} was {value} times that of {d.to} ({ends}); {_how_sure(d.probability_larger)}."


def _how_sure(larger: float) -> str:
    word, probability = ("larger", larger) if larger >= 0.5 else ("smaller", 1 - larger)
    if probability >= _CERTAIN:
        return f"the probability that it is {word} is above {100 * _CERTAIN:.1f} %"
    return f"the probability that it is {word} is {100 * probability:.{1 if probability > 0.99 else 0}f} %"


def _with(draws: NDArray[np.float64], unit: str) -> str:
    value, ends = _shown(Interval.of(draws))
    return f"{value}{unit} ({ends})"


def _shown(interval: Interval) -> tuple[str, str]:
    decimals = decimals_for(interval.q95 - interval.q05, interval.median)
    low, high = (show(value, decimals) for value in (interval.q05, interval.q95))
    return show(interval.median, decimals), f"{low} to {high}"
