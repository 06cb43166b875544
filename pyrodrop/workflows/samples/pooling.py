"""Posterior draws of what the images of a sample say together: the models of ``models.images_of_samples``, by NUTS."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.inference.nuts import sample_nuts
from pyrodrop.models.images_of_samples import numbers_of_images, sizes_of_images, typical_sizes
from pyrodrop.results.statistics.image_statistics import NUMBER, SIZES, ImageStatistics
from pyrodrop.results.statistics.pooled import PooledSample

Array = NDArray[np.float64]

# Many chains side by side cost little more than one, and all learn from each other during warm-up.
_CHAINS = 32
_HOW: dict[str, Any] = {"num_warmup": 100, "num_samples": 100, "dtype": torch.float64, "progress": False}
_HOW["compiled"] = False  # which takes longer than such a run
# Droplets all alike have sizes without any error; nothing is known better than this, relatively.
_LEAST_ERROR = 1e-6
# Of images that a sample lacks, where others have more: they say nothing of sizes, and have next to no area.
_NOTHING_KNOWN, _NO_AREA = 1e6, 1e-9


def pool(samples: Mapping[str, Sequence[ImageStatistics]], unit: str, seed: int = 0) -> dict[str, PooledSample]:
    """What the images of each sample say together, by sample.

    All samples are rows of one model, each with parameters of its own: what one says does not hang on the others.

    Args:
        samples: images by sample, at least one each.
        unit: of their lengths, "um" or "px".
        seed: of all randomness.
    """
    columns = [np.array([[i.number, i.area, i.number_error] for i in images], float).T for images in samples.values()]
    numbers, areas, errors = (
        _padded([column[part] for column in columns], fill) for part, fill in enumerate((0.0, np.nan, 0.0))
    )
    areas = np.where(np.isnan(areas), _NO_AREA * np.nanmax(areas), areas)
    density, density_spread = pooled_numbers(numbers, areas, errors, seed)
    sized = {name: [i for i in images if np.isfinite(i.log_sizes).all()] for name, images in samples.items()}
    sized = {name: images for name, images in sized.items() if images}
    typical, spread = np.zeros((len(density), 0)), np.zeros((len(density), 0))
    if sized:
        logs = [row for images in sized.values() for row in np.stack([i.log_sizes for i in images], 1)]
        unsure = [row for images in sized.values() for row in np.stack([i.errors for i in images], 1)]
        typical, spread = pooled_sizes(_padded(logs, np.nan), _padded(unsure, _NOTHING_KNOWN), seed)
    pooled = {}
    for number, (name, images) in enumerate(samples.items()):
        values, spreads = {NUMBER: density[:, number]}, {NUMBER: density_spread[:, number]}
        if name in sized:
            first = list(sized).index(name) * len(SIZES)
            values |= {size: typical[:, first + k] for k, size in enumerate(SIZES)}
            spreads |= {size: spread[:, first + k] for k, size in enumerate(SIZES)}
        droplets, area = sum(image.number for image in images), sum(image.area for image in images)
        pooled[name] = PooledSample(name, len(images), droplets, area, unit, values, spreads)
    return pooled


def pooled_numbers(
    numbers: Array, areas: Array, errors: Array, seed: int = 0, chains: int = _CHAINS
) -> tuple[Array, Array]:
    """Draws of the number per area of samples, and of how far it differs between images, (D, samples) each.

    Args:
        numbers, areas, errors: as for ``numbers_of_images``, (samples, images), areas in any unit.
        seed: of all randomness.
        chains: how many, of 100 draws each.
    """
    unit = areas.sum(1) / np.maximum(numbers.sum(1), 1)
    given = _tensors(numbers, areas / unit[:, None], errors)
    draws = sample_nuts(numbers_of_images, *given, seed=seed, num_chains=chains, **_HOW)
    density, spread = (draws[site].reshape(-1, len(numbers)).numpy() for site in ("density", "spread"))
    return density / unit, spread


def pooled_sizes(logs: Array, errors: Array, seed: int = 0, chains: int = _CHAINS) -> tuple[Array, Array]:
    """Draws of the typical image's sizes, and of how far they differ between images, (D, rows) each.

    Args:
        logs, errors: as for ``sizes_of_images``, (rows, images), but that logs may lie anywhere; NaN for images that a
            row lacks.
        seed: of all randomness.
        chains: how many, of 100 draws each.
    """
    centre = np.nanmean(logs, 1, keepdims=True)
    given = _tensors(np.nan_to_num(logs - centre), np.maximum(errors, _LEAST_ERROR))
    draws = sample_nuts(sizes_of_images, *given, seed=seed, num_chains=chains, **_HOW)
    spread = draws["spread"].reshape(-1, len(logs))
    typical = typical_sizes(spread, *given)
    normal = torch.randn(spread.shape, generator=torch.Generator().manual_seed(seed), dtype=spread.dtype)
    return np.exp((typical.loc + typical.scale * normal).numpy() + centre[:, 0]), spread.numpy()


def _tensors(*arrays: Array) -> tuple[Tensor, ...]:
    return tuple(torch.from_numpy(np.array(array)) for array in arrays)


def _padded(rows: Sequence[Array], fill: float) -> Array:
    """Rows of different lengths as one array, filled up."""
    padded = np.full((len(rows), max(map(len, rows))), fill)
    for number, row in enumerate(rows):
        padded[number, : len(row)] = row
    return padded
