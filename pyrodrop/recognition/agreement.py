"""Whose centre and radius are right, the joint fit's or the network's: a mixture learnt from all droplets of the image.

Where droplets are as the profile says, the joint fit is by far the more precise. Where they are not (a bright core with
a dark rim, a half-moon, a ring), it slides to whichever edge explains most pixels, while the network still sees the
droplet. How often that happens is a matter of the image, and its droplets tell of it together.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from pyrodrop.joint.joint_fit import JointFit
from pyrodrop.joint.posterior import far_of
from pyrodrop.joint.trust_region import FAR_FACTOR
from pyrodrop.recognition.candidates import Candidates

Array = NDArray[np.float64]

# Degrees of freedom of the network's errors, as it was trained.
_FREEDOM = 5.0
_ROUNDS = 50


def joint_fit_is_right(fit: JointFit, candidates: Candidates, share: float | None = None) -> Array:
    """Probability that the joint fit, and not the network, has each droplet's centre and radius right, (N,).

    What the network has not proposed is the joint fit's.

    Args:
        fit: the joint fit of the candidates.
        candidates: what was fitted, N of them.
        share: of droplets for which the fit is right, where it is known of the image that this is a part of; else
            this image says it (``share_of``).
    """
    right = np.ones(len(candidates.x))
    log_odds = log_odds_of_joint_fit(fit, candidates)
    right[candidates.proposed > 0] = _weight(log_odds, share_of(log_odds) if share is None else share)
    return right


def share_of(log_odds: Array) -> float:
    """The share of droplets for which the joint fit is right, from the log odds of each, (n,).

    Its prior is uniform; it is found by expectation and maximisation, and is 1/2 where there is no droplet.
    """
    share = 0.5
    for _ in range(_ROUNDS):
        share = float(_weight(log_odds, share).sum() + 1) / (len(log_odds) + 2)
    return share


def _weight(log_odds: Array, share: float) -> Array:
    odds = np.log(share) - np.log1p(-share) + log_odds
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -500, 500))))


def log_odds_of_joint_fit(fit: JointFit, candidates: Candidates) -> Array:
    """Log odds that the joint fit has the centre and radius of each proposed candidate right, were half of them, (n,).

    If it is right, its x, y and log radius differ from the network's by the errors of both, each a Student t of 5
    degrees of freedom with the network's and the fit's variances added up. If it is not, its radius is any that the
    fit may reach, uniform in log radius: it sits on another edge, with the same centre, or, as often, on something
    else, its centre uniform over the square that the fit may reach.
    """
    proposed = candidates.proposed > 0
    variance = fit.posterior.covariance[:, [0, 1, 2], [0, 1, 2]][proposed]
    own = candidates.those(proposed)
    apart = np.stack(
        [fit.x[proposed] - own.x, fit.y[proposed] - own.y, np.log(fit.half_radius[proposed] / own.radius)], 1
    )
    scale = np.sqrt(variance + np.square(own.sd))
    unit = np.sqrt((_FREEDOM - 2) / _FREEDOM) * scale  # of Student's t with that standard deviation
    log_density = student.logpdf(apart / unit, _FREEDOM) - np.log(unit)
    log_centre, log_radius = log_density[:, :2].sum(1), log_density[:, 2]
    log_right = log_centre + log_radius
    log_anywhere = -2 * np.log(2 * far_of(own.radius))
    log_wrong = np.logaddexp(log_centre, log_anywhere) - np.log(2.0) - np.log(2 * np.log(FAR_FACTOR))
    return np.asarray(log_right - log_wrong)


def combined_draws(
    drawn: dict[str, Array], right: Array, candidates: Candidates, generator: np.random.Generator
) -> dict[str, Array]:
    """Draws of centre and radius of the one that is likelier right: a mixture would lie between two edges, on neither.

    Args:
        drawn: of the joint fit, with x_px, y_px and radius_px, which is where the height is half, (draws, N).
        right: probability that the joint fit is right, (N,).
        candidates: what the network says.
        generator: of random numbers.
    """
    error = generator.standard_t(_FREEDOM, (3, *drawn["x_px"].shape)) * np.sqrt((_FREEDOM - 2) / _FREEDOM)
    sd = np.nan_to_num(candidates.sd).T
    network = {
        "x_px": candidates.x + sd[0] * error[0],
        "y_px": candidates.y + sd[1] * error[1],
        "radius_px": candidates.radius * np.exp(np.clip(sd[2] * error[2], -np.log(4.0), np.log(4.0))),
    }
    return drawn | {name: np.where(right >= 0.5, drawn[name], values) for name, values in network.items()}
