"""What a measurement reports of its candidates: in which order, their table, and the distribution of their sizes."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.recognition.learnt import shared_sd as shared_sd
from pyrodrop.recognition.learnt import unfitted_sd
from pyrodrop.results.checks.efficiency import Efficiency, efficiency_of
from pyrodrop.results.checks.residuals import droplet_residuals
from pyrodrop.results.statistics.counts import Count, counted
from pyrodrop.results.statistics.kinds import Kinds
from pyrodrop.results.statistics.sizes import Sizes, size_statistics
from pyrodrop.results.statistics.unfitted import Unfitted
from pyrodrop.results.tables.channel_amplitudes import with_channel_amplitudes
from pyrodrop.results.tables.droplet_table import droplet_table
from pyrodrop.workflows.measuring.contents import CandidateDroplets, MeasuredImage
from pyrodrop.workflows.measuring.rules import Rules

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


def unfitted_in(droplets: CandidateDroplets) -> Unfitted:
    """What beside the candidates may be droplets."""
    number, expected = droplets.unfitted.tolist()
    return Unfitted(round(number), expected, unfitted_sd())


def in_order(
    x: Array, y: Array, presence: NDArray[np.float64], candidate: NDArray[np.bool_], unfitted: Unfitted
) -> NDArray[np.intp]:
    """Numbers of all droplets: the counted candidates, the other candidates, the rest, each from top to bottom.

    Args:
        x, y, presence: of N droplets, (N,) each.
        candidate: which of them may count, (N,).
        unfitted: those besides that count, too.
    """
    candidates = np.flatnonzero(candidate)
    kind = np.full(len(presence), 2)
    kind[candidates] = np.where(counted(presence[candidates], shared_sd(), unfitted), 0, 1)
    return np.lexsort((x, y, kind))


def in_one_map(residual: Array) -> Array:
    """A residual of C channels in units of their noise, (C, H, W), as one of their size with the sign of their sum,
    (H, W).
    """
    if len(residual) == 1:
        return np.asarray(residual[0])
    return np.asarray(np.sqrt(np.square(residual).mean(0)) * np.where(residual.sum(0) < 0, -1.0, 1.0))


def white_share(residual_map: Array, area_px: int, reduced_chi_square: float) -> float:
    """Noise of the fit, which has taken up the misfit, over the white noise that the image shows."""
    size = float(np.sqrt(np.square(residual_map).sum() / area_px))
    return reduced_chi_square**0.5 / size if size > 0 else 1.0


def efficiency_in(droplets: CandidateDroplets, size: tuple[int, int]) -> Efficiency:
    """How much of what looks like a droplet is one, by parts of an image of this height and width."""
    x, y = (droplets.draws[name].double().mean(0).numpy() for name in ("x_px", "y_px"))
    return efficiency_of(x, y, droplets.presence.double().numpy(), size)


def candidate_table(
    image: MeasuredImage, droplets: CandidateDroplets, noise: Tensor, residual: Array, kinds: Kinds
) -> "pd.DataFrame":
    """One row per candidate, as ``candidates.csv``.

    Args:
        image: what was measured, C channels.
        droplets: the candidates.
        noise: its standard deviation, (C,).
        residual: in units of the noise, (H, W), whose mean square is 1 where only noise is left.
        kinds: of the candidates.
    """
    looked_at = None if image.looked_at is None else image.looked_at.numpy()
    heights = droplets.draws["amplitude"]
    x, y, radius = (droplets.draws[name].double().mean(0).numpy() for name in ("x_px", "y_px", "radius_px"))
    table = droplet_table(
        {**droplets.draws, "amplitude": heights.mean(1)},
        (image.channels.shape[1], image.channels.shape[2]),
        float(noise.square().mean().sqrt() / len(noise) ** 0.5),
        droplets.presence,
        image.pixel_size_um,
        residuals=droplet_residuals(residual, x, y, radius, looked_at),
        at_bounds=droplets.at_bounds.numpy(),
        looked_at=looked_at,
        ids=droplets.ids.numpy(),
    )
    table["kind"], table["kind_probability"] = kinds.of_droplets, kinds.probability.max(1, initial=0)
    return with_channel_amplitudes(table, image.names, heights.double().numpy())


def size_distribution(
    image: MeasuredImage, droplets: CandidateDroplets, rules: Rules, count: Count, n_droplets: int, seed: int
) -> Sizes:
    """The size distribution in numbers, each with its interval.

    Args:
        image, droplets, rules: what was measured, the candidates, and which of them count.
        count: of the droplets, those too that are no candidates and of which no size is known.
        n_droplets: how many candidates, the first ones, are counted.
        seed: of the replicates.
    """
    number = len(droplets.presence)
    sizes = size_statistics(
        2 * droplets.draws["radius_px"].double().numpy(),
        droplets.presence.numpy(),
        pixel_size_um=image.pixel_size_um,
        cut=np.zeros(number, bool) if rules.border == "drop" else None,
        size=(image.channels.shape[1], image.channels.shape[2]),
        looked_at=None if image.looked_at is None else image.looked_at.numpy(),
        counted=np.arange(number) < n_droplets,
        shared_sd=shared_sd(),
        seed=seed,
    )
    return replace(sizes, count=count)
