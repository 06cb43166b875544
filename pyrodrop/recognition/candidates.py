"""Circles that may be droplets: those that the network proposes, and those that stand out of a joint fit's residual."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit, logit

from pyrodrop.detection.proposals import Proposals, pixel_of
from pyrodrop.models.assumed.noise_families import NORMAL, NoiseFamily
from pyrodrop.models.assumed.site_priors import SitePrior
from pyrodrop.models.prior_scales import PriorScales
from pyrodrop.recognition.learnt import learnt, unfitted_sd
from pyrodrop.results.statistics.unfitted import Unfitted

Array = NDArray[np.float64]

# p (1 - p) of what is as likely as not: how doubtful one droplet is in an image of nothing else.
_MOST_DOUBTFUL = 0.25


class Candidates(NamedTuple):
    """N circles, and what the network says of each.

    x, y: centre in px. radius: where the height has fallen to half, px. proposed: the network's probability that there
    is such a droplet; 0 for a candidate from a residual, which it has not proposed. sd: standard deviations of x and y
    in px and of log radius as the network has them, (N, 3); NaN for what it has not proposed.
    """

    x: Array
    y: Array
    radius: Array
    proposed: Array
    sd: Array

    @classmethod
    def of_proposals(cls, proposals: Proposals) -> "Candidates":
        """What the network proposes, from top to bottom: an order by presence would hang on the last digit, since the
        surest are equally sure, and with the order the draws.
        """
        proposals = proposals.take(torch.from_numpy(np.lexsort(proposals.circles[:, :2].numpy().T)))
        circles, sd = proposals.circles.numpy(), proposals.sd.numpy()
        x, y, r = circles.T
        return cls(x, y, r, proposals.presence.numpy(), np.stack([sd[:, 0], sd[:, 1], sd[:, 2] / r], 1))

    @classmethod
    def of_residual(cls, x: Array, y: Array, radius: Array) -> "Candidates":
        """What stands out of a residual."""
        return cls(x, y, radius, np.zeros(len(x)), np.full((len(x), 3), np.nan))

    def those(self, kept: NDArray[np.bool_] | NDArray[np.intp]) -> "Candidates":
        """Those of a mask (N,), or of these indices."""
        return Candidates(*(values[kept] for values in self))

    def and_those(self, others: "Candidates") -> "Candidates":
        """These, and after them the others."""
        return Candidates(*(np.concatenate(pair) for pair in zip(self, others, strict=True)))

    def reaching(self, known: NDArray[np.bool_]) -> "Candidates":
        """Those whose circles reach where the image is known, (H, W). One whose centre does not lie there is no droplet
        of what is looked at, but what is seen of it has to be explained.
        """
        if known.all():
            return self
        from scipy.ndimage import distance_transform_edt

        column, row = pixel_of(self.x, self.y)
        return self.those(distance_transform_edt(~known)[row, column] < self.radius)


class OfWhole(NamedTuple):
    """What is known of the whole image that an image is a part of; what is None the image says of itself.

    candidates: what the network proposes in the part, in px of the part. scales: of the priors. priors, family: what a
    caller has put in the place of some priors and of normal noise, where the scales are the image's own.
    """

    candidates: Candidates | None = None
    scales: PriorScales | None = None
    priors: tuple[SitePrior, ...] = ()
    family: NoiseFamily = NORMAL


NOTHING_KNOWN = OfWhole()


def unfitted_of(unfitted: Array, proposed: Array) -> Unfitted:
    """What of an image is too improbable to be fitted: how many circles, and how many of them may be droplets.

    Where the network is sure of all that it proposes, as of droplets that lie apart, hardly any of the rest is one;
    where it wavers, as in a crowd, as many as it says. With p the probability of each and g how doubtful the others
    are, their log odds are

        logit p + b min(log 4 g, 0),    g = (1/4 + sum of q (1 - q)) / (1 + sum of q),

    q being the probabilities of what is fitted: where little is known the network's word stands. b is learnt from
    simulations (``recognition.learn``).

    Args:
        unfitted: the network's probability of each circle that is not fitted, (M,).
        proposed: of those that are, (N,).
    """
    expected = expit(logit(unfitted) + signs_of_unfitted(len(unfitted), proposed) @ learnt("unfitted"))
    return Unfitted(len(unfitted), float(expected.sum()), unfitted_sd())


def signs_of_unfitted(number: int, proposed: Array) -> Array:
    """What speaks for each of so many circles that were not fitted, (number, 1): min(log 4 g, 0)."""
    doubt = (_MOST_DOUBTFUL + (proposed * (1 - proposed)).sum()) / (1 + proposed.sum())
    return np.full((number, 1), min(np.log(doubt / _MOST_DOUBTFUL), 0.0))
