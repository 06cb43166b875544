"""Centre and radius of each droplet, from two who have looked at it: the network, and the joint fit.

Where a droplet is as its profile says, the joint fit is by far the more precise. Where it is not (a bright core with a
dark rim, a half-moon, a ring), it slides to whichever edge explains most pixels, while the network still sees the
droplet. What tells the two apart is how far they differ, how much of the droplet's contrast the fit leaves
unexplained: e, the root mean square of what is left at the droplet over its amplitude, and g, the same without what
noise alone would leave; and h, whether what is left is no more than noise (``presence.explained_share``, 0 to 1).

    log odds that the fit sits on the right edge, before the two are compared:   a + b log e + f h
    errors of a fit that does, squared:   (q s)^2 + (c g)^2 of log radius, (p s)^2 + (d g)^2 of x and y over the radius

with s the standard deviation of the fit's own posterior, which does not know that droplets are not quite of its
profile; where the fit leaves no more of the droplets than of the image between them, it is taken at its word, p and q
being 1, c and d 0. If it does, the two are two measurements of one thing, weighed by their precisions. If not, it sits
on another edge with the same centre, or, as often, on something else, and the network's word stands. Some of the fit's
error is the same for all droplets of an image, and how the two differ on all of them says what it is
(``shared_errors``). The numbers a to q are learnt from simulations (``recognition.learn``, which wrote
``learnt.json``).

Of a bright core in a dark rim the fit knows two outlines. Which of them is the droplet's, of all droplets alike, the
network says: the one under which its circles are likelier.

Both look at the image, where an edge that optics blur lies further in than the droplet's own, by w^2 / 2r. Whether the
softness of an edge is that of optics or of the droplet, the image does not tell: either is as likely, for all droplets
of an image alike. A 90 % interval of such a mixture holds either in 90 % of cases.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_expit

from pyrodrop.joint.draws import half_radius_sd
from pyrodrop.joint.joint_fit import JointFit
from pyrodrop.joint.normal_equations import CLEAR
from pyrodrop.joint.one_by_one.uneven_light import drift_of
from pyrodrop.joint.posterior import correlation_of, far_of
from pyrodrop.joint.trust_region import FAR_FACTOR
from pyrodrop.recognition.candidates import Candidates
from pyrodrop.recognition.learnt import learnt
from pyrodrop.recognition.presence import explained_share
from pyrodrop.recognition.shared_errors import shared_posterior
from pyrodrop.recognition.succession import FREEDOM, log_density_of_errors

Array = NDArray[np.float64]

# Within these, e and g are told apart: below, noise is all there is; above, the droplet is not explained at all.
_LEAST, _MOST = 1e-4, 3.0
# What is learnt, in this order.
WEIGHTS = ("a", "b", "log c", "log d", "f", "log p", "log q")
_ABOUT = 1.5  # radii within which pixels are a droplet's


class Agreed(NamedTuple):
    """Where N droplets are, by both.

    x, y, radius: px. sd: standard deviations of x and y in px and of log radius, (N, 3). share: of the joint fit in
    each of these three, 0 where the network's word stands and 1 where it has none, (N, 3). fit_sd: what the joint fit
    alone would give as sd, (N, 3). common: how far each of the three goes with a normal number that all droplets
    share, (N, 3); its square is part of that of sd. outwards: if the edge is soft by optics alone, the square of the
    droplet's own radius is larger by so much, px^2, (N,).
    """

    x: Array
    y: Array
    radius: Array
    sd: Array
    share: Array
    fit_sd: Array
    common: Array
    outwards: Array


class Views(NamedTuple):
    """What the two say of n candidates; the network's radius is the unit of length.

    apart: joint fit less network, of x, y and log radius, (n, 3). fit_sd, network_sd: standard deviations of each,
    (n, 3). unexplained: e, (n,). excess: g, (n,). explained: h, (n,). far: how far the fit may have gone from the
    candidate, (n,). only_noise: 1 where no more is left of the droplets than of what is between
    them, else 0, (n,).
    """

    apart: Array
    fit_sd: Array
    network_sd: Array
    unexplained: Array
    excess: Array
    explained: Array
    far: Array
    only_noise: Array


def fit_sd_of(fit: JointFit) -> Array:
    """Standard deviations of x, y (px) and the log of the half-height radius by the joint fit alone, (N, 3).

    The radius has a part from the shape that all droplets share, and one from how the two go together.
    """
    variance = fit.posterior.covariance[:, [0, 1, 2], [0, 1, 2]]
    return np.column_stack([np.sqrt(variance[:, :2]), half_radius_sd(fit)])


def views_of(fit: JointFit, candidates: Candidates, white: Array, outline: Array | None = None) -> Views:
    """What both say of every candidate; NaN where the network has not proposed it. white: noise of the image, (C,);
    outline: the fit's radii, else those of half height, (N,).
    """
    outline = fit.half_radius if outline is None else outline
    r = candidates.radius
    unit = np.stack([r, r, np.ones_like(r)], 1)
    apart = np.stack([fit.x - candidates.x, fit.y - candidates.y, np.log(outline / r)], 1) / unit
    height = np.maximum(np.mean(np.square(fit.amplitude), 0), 1e-300)
    left = fit.residuals.at_droplets * np.mean(np.square(fit.noise)) / height
    # The mean square of pi r^2 pixels of noise has a relative standard deviation of (2 / pi r^2)^(1/2).
    alone = (1 + 2 * np.sqrt(2 / (np.pi * np.maximum(r, 0.5) ** 2))) * np.mean(np.square(white)) / height
    return Views(
        apart,
        fit_sd_of(fit) / unit,
        candidates.sd / unit,
        np.sqrt(left).clip(_LEAST, _MOST),
        np.sqrt(np.maximum(left - alone, 0.0)).clip(0.0, _MOST),
        explained_share(fit, white),
        far_of(r) / r,
        np.full(len(r), float(leaves_only_noise(fit))),
    )


def leaves_only_noise(fit: JointFit) -> bool:
    """Whether the residual is white noise as the image shows it, or no larger about droplets than far from them.

    Either up to chance: the mean square of n pixels of noise has a relative variance of 2 sum rho^2 / n, with rho the
    correlations between pixels, which are read off far from droplets.
    """
    residual = fit.residuals.image.astype(np.float64)
    known = np.ones(residual.shape[1:], bool) if fit.known is None else fit.known
    away = np.abs(fit.residuals.reduced_chi_square - 1)
    if fit.residuals.noise_correlation == 1 and (away < CLEAR * np.sqrt(2 / max(known.sum(), 1))).all():
        return True
    about = np.zeros(residual.shape[1:], bool)
    for x, y, r in zip(fit.x, fit.y, _ABOUT * fit.half_radius, strict=True):
        top, left = max(int(np.ceil(y - r)), 0), max(int(np.ceil(x - r)), 0)
        part = about[top : max(int(y + r) + 1, 0), left : max(int(x + r) + 1, 0)]
        rows, columns = np.ogrid[top : top + part.shape[0], left : left + part.shape[1]]
        part |= (columns - x) ** 2 + (rows - y) ** 2 <= r**2
    about, far = about & known, ~about & known
    if not 0 < about.sum() < far.sum():
        return False  # too little is left to hold droplets against
    squared = np.square(residual / fit.noise[:, None, None]).mean(0)
    _, correlation = correlation_of(np.where(far, residual, 0.0))
    chance = CLEAR * np.sqrt(2 * (1 + 2 * np.square(correlation).sum()) / about.sum())
    return bool(squared[about].mean() < (1 + chance) * squared[far].mean())


def log_prior_odds(views: Views, weights: Array) -> Array:
    """Log odds that the fit sits on the right edge before it is compared; weights: ``WEIGHTS``."""
    return np.asarray(weights[0] + weights[1] * np.log(views.unexplained) + weights[4] * views.explained)


def fit_errors(views: Views, weights: Array) -> Array:
    """Standard deviations of a fit that sits on the right edge, (n, 3); weights: ``WEIGHTS``."""
    of_misfit, of_posterior = np.exp(np.array(weights)[[[3, 3, 2], [5, 5, 6]]])
    noise = views.only_noise[:, None] > 0
    of_posterior, of_misfit = np.where(noise, 1.0, of_posterior), np.where(noise, 0.0, of_misfit)
    return np.hypot(views.fit_sd * of_posterior, views.excess[:, None] * of_misfit)


def log_densities(apart: Array, sd: Array, far: Array) -> tuple[Array, Array]:
    """Log densities of errors (n, 3), of deviation sd where the fit sits on the right edge: if it does, if not, (n,).

    Each error has a Student t of 5 degrees of freedom. On another edge the log radius is any that the fit may reach,
    the centre as good; on something else the centre, too, is anywhere that the fit may reach.
    """
    log_density = log_density_of_errors(apart, sd)
    centre = log_density[:, 0] + log_density[:, 1]
    wrong = np.logaddexp(centre, -2 * np.log(2 * far)) - np.log(2.0) - np.log(2 * np.log(FAR_FACTOR))
    return centre + log_density[:, 2], wrong


def agreed(fit: JointFit, candidates: Candidates, white: Array) -> Agreed:
    """Where the candidates are, by the joint fit and the network; what the network has not proposed is the fit's.

    Args:
        fit: the joint fit of the candidates.
        candidates: what was fitted, N of them.
        white: standard deviation of the white noise that the image itself shows, (C,).
    """
    weights = learnt("agreement")
    proposed = candidates.proposed > 0
    number = outline_of(fit, candidates, white, weights)
    outline, sharp = (of[number] for of in fit.outlines)
    whole = views_of(fit, candidates, white, outline)
    unit = np.column_stack([candidates.radius, candidates.radius, np.ones(len(proposed))])
    fit_sd = whole.fit_sd * unit
    sd, share = fit_sd.copy(), np.ones_like(fit_sd)
    shift, common = np.zeros_like(fit_sd), np.zeros_like(fit_sd)
    if proposed.any():
        views = Views(*(values[proposed] for values in whole))
        errors = fit_errors(views, weights)
        right, wrong = log_densities(views.apart, np.hypot(errors, views.network_sd), views.far)
        prior = log_prior_odds(views, weights)
        sits = log_expit(prior) + right >= log_expit(-prior) + wrong
        of_place, of_radius = learnt("shared errors").tolist()
        for k, shared in enumerate((of_place, of_place, of_radius)):
            fit_part = np.sqrt(shared * np.maximum(errors[:, k] ** 2 - views.fit_sd[:, k] ** 2, 0.0))
            own, other = np.sqrt(errors[:, k] ** 2 - fit_part**2), views.network_sd[:, k]
            mean, deviation = shared_posterior(views.apart[sits, k], np.hypot(own, other)[sits], fit_part[sits])
            part = np.where(sits, own**-2.0 / (own**-2.0 + other**-2.0), 0.0)
            share[proposed, k], shift[proposed, k] = part, -part * fit_part * mean
            common[proposed, k] = part * fit_part * deviation
            alone = np.where(sits, (own**-2.0 + other**-2.0) ** -0.5, other)
            sd[proposed, k] = np.hypot(alone, common[proposed, k])
        sd[proposed] *= unit[proposed]
    drift = drift_of(fit)
    sd[:, :2] = np.hypot(sd[:, :2], drift.sd * share[:, :2] * drift.by)
    straight = np.stack([fit.x, fit.y], 1) - drift.share * drift.by
    found = np.where(share > 0, np.column_stack([straight, np.log(outline)]), 0.0)
    said = np.stack([candidates.x, candidates.y, np.log(candidates.radius)], 1)
    x, y, log_radius = (share * found + (1 - share) * said + shift * unit).T
    return Agreed(x, y, np.exp(log_radius), sd, share, fit_sd, common * unit, sharp**2 - outline**2)


def outline_of(fit: JointFit, candidates: Candidates, white: Array, weights: Array) -> int:
    """Number of the fit's outlines that is the droplets', by what the network says of all of them; weights:
    ``WEIGHTS``.
    """
    proposed = candidates.proposed > 0
    if len(fit.outlines[0]) == 1 or not proposed.any():
        return 0
    likely = []
    for outline in fit.outlines[0]:
        views = Views(*(values[proposed] for values in views_of(fit, candidates, white, outline)))
        sd = np.hypot(fit_errors(views, weights), views.network_sd)
        right, wrong = log_densities(views.apart, sd, views.far)
        prior = log_prior_odds(views, weights)
        either = np.logaddexp(log_expit(prior) + right, log_expit(-prior) + wrong)
        likely.append(float((candidates.proposed[proposed] * either).sum()))
    return int(np.argmax(likely))


def agreed_draws(
    drawn: dict[str, Array], fit: JointFit, places: Agreed, generator: np.random.Generator
) -> dict[str, Array]:
    """Draws of centre and radius by both: the joint fit's as far as it has a say, and what else is not known added.

    Args:
        drawn: of the joint fit, with x_px, y_px and radius_px, which is where the height is half, (draws, N).
        fit: the joint fit.
        places: what is agreed on.
        generator: of random numbers.
    """
    rest = np.sqrt(np.maximum(places.sd**2 - places.common**2 - (places.share * places.fit_sd) ** 2, 0.0))
    together = places.common.T[:, None] * generator.standard_normal((3, len(drawn["x_px"]), 1))
    noise = generator.standard_t(FREEDOM, (3, *drawn["x_px"].shape)) * np.sqrt((FREEDOM - 2) / FREEDOM)
    joint = drawn["x_px"] - fit.x, drawn["y_px"] - fit.y, np.log(drawn["radius_px"] / fit.half_radius)
    x, y, log_radius = (places.share[:, k] * joint[k] + rest[:, k] * noise[k] + together[k] for k in range(3))
    radius = places.radius * np.exp(np.clip(log_radius, -np.log(4.0), np.log(4.0)))
    of_optics = generator.permutation(np.arange(len(radius)) % 2)[:, None]
    own = np.sqrt(np.maximum(radius**2 + of_optics * places.outwards, (radius / 4) ** 2))
    return drawn | {"x_px": places.x + x, "y_px": places.y + y, "radius_px": own}
