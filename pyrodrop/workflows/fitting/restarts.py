"""Fits of one image from several starts: which has the lowest loss, and how many of its droplets the others share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from pyrodrop.results.tables.truth_comparison import shared

if TYPE_CHECKING:
    import pandas as pd

# The latest iterations, whose mean loss decides which of several starts is the best.
_LATEST = 100


@dataclass(frozen=True)
class Agreement:
    """How far the fits from several starts agree.

    Attributes:
        losses: mean loss of each start's last 100 iterations, best first.
        spread: (worst - best) / best of these.
        agreed: how many of the best one's droplets all others have too: a centre within half a radius, and a radius
            within a factor of 1.5.
    """

    losses: tuple[float, ...]
    spread: float
    agreed: int


def best_first(losses: Tensor) -> tuple[Tensor, list[float]]:
    """The starts by the mean loss of their last 100 iterations, the best first, and these means.

    Args:
        losses: of all iterations and starts, (iterations, R).

    Returns:
        The numbers of the starts, (R,), and their mean losses in that order.
    """
    latest = losses[-_LATEST:].double().mean(0)
    order = latest.argsort(stable=True)
    means: list[float] = latest[order].tolist()
    return order, means


def agreement_of(means: Sequence[float], tables: Sequence["pd.DataFrame"]) -> Agreement:
    """How far starts agree, from their mean losses and droplet tables, both with the best start first."""
    agreed = np.logical_and.reduce([shared(tables[0], table) for table in tables[1:]])
    return Agreement(tuple(means), (means[-1] - means[0]) / abs(means[0]), int(agreed.sum()))
