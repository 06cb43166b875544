"""Several starts side by side: which is the best, and how far the others agree with it."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from pyrodrop.inference import svi
from pyrodrop.results.comparison import shared

if TYPE_CHECKING:
    from pyrodrop.workflows.fit import Fit

# The latest iterations, whose mean loss decides which of several starts is the best.
_LATEST = 100


@dataclass(frozen=True)
class Agreement:
    """What several starts have come to.

    Attributes:
        losses: mean loss of each start's last 100 iterations, best first.
        spread: (worst - best) / best of these.
        agreed: how many of the best one's droplets all others have too: a centre within half a radius, and a radius
            within a factor of 1.5.
    """

    losses: tuple[float, ...]
    spread: float
    agreed: int


def best(fit: "Fit") -> "Fit":
    """The best of several starts, and how far the others agree with it."""
    starts = fit.losses.shape[1]
    if starts == 1:
        return replace(fit, losses=fit.losses[:, 0])
    latest = fit.losses[-_LATEST:].double().mean(0)
    order = latest.argsort(stable=True)
    rows = [replace(fit, state=svi.keep(fit.state, order[i : i + 1]), losses=torch.empty(0)) for i in range(starts)]
    agreed = np.logical_and.reduce([shared(rows[0].table(), row.table()) for row in rows[1:]])
    ordered = latest[order].tolist()
    agreement = Agreement(tuple(ordered), (ordered[-1] - ordered[0]) / abs(ordered[0]), int(agreed.sum()))
    return replace(rows[0], losses=fit.losses[:, order[0]], agreement=agreement)
