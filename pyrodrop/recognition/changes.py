"""What a new fit of some droplets changes in what was known of them, and what it says of droplets that are new in it.

An edit adds droplets to a measurement, or takes some away, and those that share pixels with them are fitted anew, once
as they were and once as they are now. What differs between these two fits is what the edit does: by so much a centre, a
log radius and a height move, by this factor their standard deviations grow, and by so much the log odds of a presence
change. So draws go on as they were, moved and stretched about their mean, and the opposite edit takes them back.

A droplet that a person adds has no word of the network. Its place and size are the joint fit's, with the errors that
such a fit was found to make where the profile is not quite the droplet's (``agreement.fit_errors``).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from pyrodrop.joint.draws import draws
from pyrodrop.joint.joint_fit import JointFit
from pyrodrop.recognition.agreement import Agreed, agreed, agreed_draws, fit_errors, outline_of, views_of
from pyrodrop.recognition.candidates import Candidates
from pyrodrop.recognition.learnt import learnt
from pyrodrop.recognition.presence import network_log_odds, signs
from pyrodrop.rendering import profile_named

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

# Log odds of a presence that is as good as certain.
_CERTAIN = 1e-15


class Refitted(NamedTuple):
    """Some droplets fitted again, and what is then said of each. N droplets.

    fit: of them. places: by the network and the fit. log_odds: of presence, (N,).
    """

    fit: JointFit
    places: Agreed
    log_odds: Array

    @classmethod
    def of(cls, fit: JointFit, candidates: Candidates, white: Array) -> "Refitted":
        """What a fit of candidates says.

        Args:
            fit: of N of them.
            candidates: where each was found, and the network's words; 0 is proposed of one that a person added.
            white: standard deviation of the white noise that the image itself shows, (C,).
        """
        if not len(fit.x):
            nothing = np.zeros((0, 3))
            return cls(fit, Agreed(fit.x, fit.y, fit.r, *(nothing,) * 4, fit.x), fit.x)
        places = agreed(fit, candidates, white)
        alone = candidates.proposed == 0
        if alone.any():
            weights = learnt("agreement")
            outline = fit.outlines[0][outline_of(fit, candidates, white, weights)]
            unit = np.column_stack([candidates.radius, candidates.radius, np.ones(len(alone))])
            errors = unit * fit_errors(views_of(fit, candidates, white, outline), weights)
            places = places._replace(sd=np.where(alone[:, None], np.maximum(places.sd, errors), places.sd))
        of_proposals, of_residuals = learnt("proposals"), learnt("residuals")
        from_network, from_residual = signs(fit, candidates, white)
        proposed = network_log_odds(candidates) + from_network @ of_proposals
        return cls(fit, places, np.where(alone, from_residual @ of_residuals, proposed))


class Change(NamedTuple):
    """By how much n droplets are moved, and by which factors their standard deviations grow.

    before, now: means of x and y in px, of log radius and of the C heights, (n, 3 + C). sd, factor: their standard
    deviations before, and by how much these grow, (n, 3 + C). log_odds: by how much those of presence change, (n,).
    """

    before: Array
    now: Array
    sd: Array
    factor: Array
    log_odds: Array

    def those(self, some: NDArray[np.bool_]) -> "Change":
        """Of some of the droplets."""
        return Change(*(values[some] for values in self))

    def matters(self, draws_kept: int) -> NDArray[np.bool_]:
        """Which of the droplets change by more than so many draws tell, (n,).

        The mean of n draws has a standard error of sd / n^(1/2), their standard deviation one of a share (2 n)^(-1/2):
        what changes less is as it was.
        """
        moved = np.abs(self.now - self.before) > self.sd / np.sqrt(draws_kept)
        grown = np.abs(np.log(self.factor)) > (2 * draws_kept) ** -0.5
        return np.asarray((moved | grown).any(1))


def change_of(before: Refitted, now: Refitted, old: Indices, new: Indices) -> Change:
    """What differs between two fits of the same droplets, which have the numbers ``old`` in one and ``new`` in the
    other, (n,) each.
    """
    means, spreads = zip(*(_moments(fitted, some) for fitted, some in ((before, old), (now, new))), strict=True)
    log_odds = now.log_odds[new] - before.log_odds[old]
    return Change(means[0], means[1], spreads[0], spreads[1] / spreads[0], log_odds)


def moved_draws(drawn: dict[str, Array], change: Change) -> dict[str, Array]:
    """Draws of n droplets, x_px, y_px, radius_px, (draws, n), and amplitude, (draws, C, n), after a change of them."""
    moved = dict(drawn)

    def change_in(some: int | slice, values: Array) -> Array:
        mean, mean_now, factor = (part[:, some].T for part in (change.before, change.now, change.factor))
        return np.asarray(mean_now + factor * (values - mean))

    moved["x_px"], moved["y_px"] = change_in(0, drawn["x_px"]), change_in(1, drawn["y_px"])
    moved["radius_px"] = np.exp(change_in(2, np.log(drawn["radius_px"])))
    moved["amplitude"] = change_in(slice(3, None), drawn["amplitude"])
    if "sigma_px" in drawn:
        moved["sigma_px"] = drawn["sigma_px"] * moved["radius_px"] / drawn["radius_px"]
    return moved


def changed_presence(presence: Array, log_odds: Array) -> Array:
    """Probabilities (n,) whose log odds change by so much, (n,)."""
    return np.asarray(expit(logit(np.clip(presence, _CERTAIN, 1 - _CERTAIN)) + log_odds))


def new_draws(now: Refitted, some: Indices, number: int, seed: int) -> dict[str, Array]:
    """Draws of some of the droplets of a fit, as a measurement has them, so many of each; seed: of the draws."""
    import torch

    drawn = draws(now.fit, number, torch.Generator().manual_seed(seed))
    if drawn["amplitude"].ndim == 2:
        drawn["amplitude"] = drawn["amplitude"][:, None]
    drawn["radius_px"] = drawn.pop("half_radius_px")
    drawn = agreed_draws(drawn, now.fit, now.places, np.random.default_rng(seed))
    profile = profile_named(now.fit.profile)
    if profile.gaussian:
        drawn["sigma_px"] = drawn["radius_px"] / profile.half_share
    return {name: values[..., some] for name, values in drawn.items()}


def _moments(fitted: Refitted, some: Indices) -> tuple[Array, Array]:
    """Means of x, y, log radius and heights of some droplets, and their standard deviations, (n, 3 + C) each.

    Half of the draws of a radius are larger by what an edge that is soft by optics hides (``agreement``), which is
    part of both.
    """
    places, fit = fitted.places, fitted.fit
    hidden = np.log1p(np.maximum(places.outwards / places.radius**2, 1 / 16 - 1)) / 2
    mean = np.column_stack([places.x, places.y, np.log(places.radius) + hidden / 2, fit.amplitude.T])[some]
    sd = np.column_stack([places.sd[:, :2], np.hypot(places.sd[:, 2], hidden / 2)])
    heights = np.sqrt(np.einsum("nii->ni", fit.posterior.covariance)[:, 3:])
    return mean, np.column_stack([sd, heights])[some]
