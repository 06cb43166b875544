"""Distributions of several samples in the same bins: share of the droplets by diameter, of each image and of all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from pyrodrop.results.statistics.histogram import size_histogram
from pyrodrop.results.statistics.image_statistics import SampledImage

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SampleDistributions:
    """Shares of the droplets by diameter, of samples.

    Attributes:
        edges: of the bins, (B + 1,), in ``unit``.
        logarithmic: whether the bins are equally wide in the logarithm.
        unit: "um" or "px".
        images: by sample, and in it by image, the share of the image's droplets in each bin, (B,).
        pooled: by sample, that of all its droplets, (B,).
    """

    edges: Float64[Array, " edges"]
    logarithmic: bool
    unit: str
    images: Mapping[str, Sequence[tuple[str, Float64[Array, " bins"]]]]
    pooled: Mapping[str, Float64[Array, " bins"]]


def sample_distributions(samples: Mapping[str, Sequence[SampledImage]]) -> SampleDistributions:
    """Shares of the droplets by diameter, in bins that are those of all droplets together.

    Args:
        samples: images by the name of their sample, of one unit.
    """
    every = [image for images in samples.values() for image in images]
    middles = np.concatenate([np.median(image.diameters, 0) for image in every])
    presence = np.concatenate([image.presence for image in every])
    binned = size_histogram(middles[None], presence, replicates=1)
    # The outermost bins take what lies beyond, so that no droplet is left out.
    edges = binned.edges
    ends = np.concatenate([[-np.inf], edges[1:-1], [np.inf]])
    expected = {name: [(image.name, _expected(image, ends)) for image in images] for name, images in samples.items()}
    return SampleDistributions(
        edges,
        binned.logarithmic,
        every[0].unit,
        {name: [(image, _share(numbers)) for image, numbers in images] for name, images in expected.items()},
        {name: _share(np.sum([numbers for _, numbers in images], 0)) for name, images in expected.items()},
    )


def _expected(image: SampledImage, ends: Array) -> Array:
    """How many droplets of an image are expected in each bin, (B,)."""
    weights = np.broadcast_to(image.presence, image.diameters.shape)
    return np.asarray(np.histogram(image.diameters, ends, weights=weights)[0] / len(image.diameters))


def _share(numbers: Array) -> Array:
    return numbers / numbers.sum() if numbers.sum() > 0 else numbers
