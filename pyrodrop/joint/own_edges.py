"""Droplets whose edges are not as soft as the others': some out of focus among others that are not.

The joint fit has one width w for the edges of all. What it leaves over of each droplet says how far its own log w would
be from that, by the score: with J the derivatives by the droplet's other unknowns, E that by its log w, both over the
noise, and E' what J leaves of E, the estimate is e = E' residual / E' E' with the variance 1 / E' E'. If all edges are
alike, the sum of e^2 over its variance has a chi-square distribution of N degrees of freedom. Where it is clearly more,
each droplet is fitted with an edge of its own, all else that they share being held.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pyrodrop.joint.joint_fit import JointFit
from pyrodrop.joint.one_droplet import EDGE, LocalView, OneDroplet
from pyrodrop.joint.posterior import CLEAR
from pyrodrop.joint.priors import Array
from pyrodrop.rendering import profile_named
from pyrodrop.rendering.kernels.columns import columns_of_droplets

_ROUNDS = 2  # over all droplets, the second with their neighbours' own edges


def edges_differ(fit: JointFit) -> NDArray[np.bool_]:
    """Which droplets' edges are clearly not as soft as the shared one, (N,); none where all are alike up to chance."""
    z = edge_scores(fit)
    n = len(z)
    if np.square(z).sum() <= n + CLEAR * np.sqrt(2 * n):
        return np.zeros(n, bool)
    return np.abs(z) > CLEAR


def edge_scores(fit: JointFit) -> Array:
    """How far each droplet's own log width is from the shared one, in standard deviations, (N,); see the module."""
    profile, n = profile_named(fit.profile), len(fit.x)
    if EDGE not in profile.shape_names or n == 0:
        return np.zeros(n)
    number, residual = profile.shape_names.index(EDGE), fit.residuals.image.astype(np.float64)
    columns = columns_of_droplets(profile, fit.x, fit.y, fit.r, fit.shape, residual.shape[1:], profile.left_out)
    scores = np.zeros(n)
    for k in range(n):
        view = LocalView.of(columns, k)
        if not view.pictures.size:
            continue
        left = (residual[(slice(None), *view.window)] / fit.noise[:, None, None]).ravel()
        matrix = view.derivatives(fit.amplitude[:, k], fit.noise, number)
        others, own = matrix[:, :-1], matrix[:, -1]
        rest = own - others @ np.linalg.lstsq(others, own, rcond=None)[0]
        information = float(rest @ rest)
        if information > 0:
            scores[k] = float(rest @ left) / np.sqrt(information) / fit.posterior.inflation[k, 2]
    return scores


def with_own_edges(fit: JointFit) -> JointFit:
    """The fit with an edge of its own for each droplet, where edges clearly differ; else the same fit."""
    if not edges_differ(fit).any():
        return fit
    left = fit.residuals.image.astype(np.float64)
    droplets = [OneDroplet.of(fit, k) for k in range(len(fit.x))]
    covariance, at_droplets = fit.posterior.covariance.copy(), fit.residuals.at_droplets.copy()
    for last in [False] * (_ROUNDS - 1) + [True]:
        for k, droplet in enumerate(droplets):
            droplet.paint(left, 1.0)
            droplet = droplets[k] = droplet.fitted(left)
            if last:
                covariance[k] += droplet.more_covariance() * np.outer(*[fit.posterior.inflation[k]] * 2)
            droplet.paint(left, -1.0)
    for k, droplet in enumerate(droplets):
        at_droplets[k] = droplet.misfit(left, at_droplets[k])
    unknowns = np.array([droplet.unknowns for droplet in droplets])
    widened = np.sqrt(np.einsum("nii->ni", covariance) / np.einsum("nii->ni", fit.posterior.covariance))
    return replace(
        fit,
        state=replace(
            fit.state, x=unknowns[:, 0], y=unknowns[:, 1], log_r=unknowns[:, 2], amplitude=unknowns[:, 3:-1].T
        ),
        posterior=fit.posterior._replace(covariance=covariance, inflation=fit.posterior.inflation * widened),
        residuals=fit.residuals._replace(image=left.astype(np.float32), at_droplets=at_droplets),
        edges=np.exp(unknowns[:, -1]),
    )
