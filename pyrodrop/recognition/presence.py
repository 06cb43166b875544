"""Presence: the probability that a candidate is a droplet, from what the network and the joint fit say of it.

The network's probability p is calibrated on broad simulations, but it looks at an image once and from afar. The joint
fit knows the likelihood, but only of droplets of one profile: where that does not explain a droplet, the network's word
stands. Where it does, how far its evidence is to be believed is learnt from simulations, by a logistic regression
(``recognition.learn``, which wrote ``learnt.json``). For a candidate that the network proposes the log odds are

    (1 + c0) logit p + c1 e + c2 e a(w) + c3 e d

and for one that stands out of a residual, which is looked for only where the model explains the image,

    r0 + r1 a(b) + r2 m

with w and b the log odds with and without the droplet against white noise and against all that is left over, a =
arcsinh, which is the identity for small odds and a logarithm for large ones; e = 1 / (1 + (c / 2)^8), which is 1 where
the mean squared residual c at the droplet is that of the white noise and 0 where the profile does not describe it; m
the log odds of being like the other droplets (``membership``); and d the distance in radii by which the fit's circle
has left the proposal, which tells nothing where the profile does not describe the droplet. To be unlike the others must
not speak against a proposal: of a field of stars the brightest are.

What makes one droplet doubtful makes its likes doubtful, too: a part of these log odds is shared by all droplets of an
image, and how large it is (``shared_sd``) is learnt with the weights. The count is a distribution with that
(``results.statistics.shared_doubt``).
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from pyrodrop.joint.joint_fit import JointFit
from pyrodrop.recognition.candidates import Candidates
from pyrodrop.recognition.learnt import learnt
from pyrodrop.recognition.membership import log_membership
from pyrodrop.results.statistics.counts import LIKELY

Array = NDArray[np.float64]

# Mean squared residual of a droplet, in units of the image's own white noise, up to which the model explains it: by
# then the misfit is as large as the noise, which is what "does not fit" means for the image as a whole, too.
EXPLAINED = 2.0
SIGNS_OF_PROPOSALS = ("network", "explained", "white evidence", "explained and left")
SIGNS_OF_RESIDUALS = ("constant", "evidence", "membership")


def presence_of(fit: JointFit, candidates: Candidates, white: Array) -> Array:
    """Probability that each candidate is a droplet, (N,).

    Args:
        fit: the joint fit of the candidates.
        candidates: what was fitted, N of them.
        white: standard deviation of the white noise that the image itself shows, (C,).
    """
    of_proposals, of_residuals = learnt("proposals"), learnt("residuals")
    proposed = candidates.proposed > 0
    from_network, from_residual = signs(fit, candidates, white)
    network = from_network[:, 0]
    return np.asarray(expit(np.where(proposed, network + from_network @ of_proposals, from_residual @ of_residuals)))


def signs(fit: JointFit, candidates: Candidates, white: Array) -> tuple[Array, Array]:
    """What speaks for each candidate if the network proposes it, (N, 4), and if it stands out of a residual, (N, 3)."""
    explained = explained_share(fit, white)
    prior = np.log(max(float(candidates.proposed.sum()), 1.0))
    against_white = np.arcsinh(fit.evidence.log_bayes_white + prior)
    against_all = np.arcsinh(fit.evidence.log_bayes + prior)
    constant = np.ones(len(explained))
    alike = np.clip(log_membership(fit, candidates.proposed >= LIKELY), -20.0, 20.0)
    left = np.hypot(fit.x - candidates.x, fit.y - candidates.y) / candidates.radius
    return (
        np.stack([network_log_odds(candidates), explained, explained * against_white, explained * left], 1),
        np.stack([constant, against_all, alike], 1),
    )


def network_log_odds(candidates: Candidates) -> Array:
    """Log odds of each candidate by the network alone, (N,)."""
    return np.asarray(logit(np.clip(candidates.proposed, 1e-4, 1 - 1e-4)))


def explained_share(fit: JointFit, white: Array) -> Array:
    """How far the model explains each droplet to within the noise, 0 to 1, (N,)."""
    return np.asarray(1 / (1 + (misfit_of(fit, white) / EXPLAINED) ** 8))


def misfit_of(fit: JointFit, white: Array) -> Array:
    """Mean squared residual at each droplet in units of the image's white noise, (N,)."""
    return np.asarray(fit.residuals.at_droplets * np.mean(np.square(fit.noise / white)))
