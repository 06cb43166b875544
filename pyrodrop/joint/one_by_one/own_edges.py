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
from pyrodrop.joint.local_descent import WORSE, LocalStart, descend_locally
from pyrodrop.joint.normal_equations import CLEAR, columns_of, equations_of_droplets, squares
from pyrodrop.joint.pixels import Pixels
from pyrodrop.joint.posterior import inflation_of
from pyrodrop.joint.priors import Array
from pyrodrop.joint.problem import EDGE, Problem, State
from pyrodrop.joint.sums.engine import Image, Pictures
from pyrodrop.joint.trust_region import bounds_of
from pyrodrop.rendering import profile_named

# Share of what the image tells of an edge that is rounding's.
_SAYS_NOTHING = 1e-6
_ROUNDS = 3  # over all droplets and the background, in turn
_GAIN, _DAMPING = 1e-3, 1e-3  # in log density, below which a droplet rests; and of the first step


def edges_differ(fit: JointFit, pixels: Pixels) -> NDArray[np.bool_]:
    """Which droplets' edges are clearly not as soft as the shared one, (N,); none where all are alike up to chance."""
    z = edge_scores(fit, pixels)
    n = len(z)
    if np.square(z).sum() <= n + CLEAR * np.sqrt(2 * n):
        return np.zeros(n, bool)
    return np.abs(z) > CLEAR


def edge_scores(fit: JointFit, pixels: Pixels) -> Array:
    """How far each droplet's own log width is from the shared one, in standard deviations, (N,); see the module."""
    profile, n = profile_named(fit.profile), len(fit.x)
    if EDGE not in profile.shape_names or n == 0:
        return np.zeros(n)
    engine, size = pixels.engine, pixels.size
    columns = engine.columns(profile, fit.state.places, fit.shape, size, pixels.weight)
    pictures = np.array([1, 2, 3, 0, 4 + profile.shape_names.index(EDGE)])
    each = np.arange(n)
    gram = engine.gram(columns, np.stack([each, each], 1), columns.number)[:, pictures[:, None], pictures]
    projected = engine.project(columns, engine.image(fit.residuals.image.astype(np.float64)), columns.number)[
        :, :, pictures
    ]
    # Of x, y, log r, the C heights and log w: precision, and products with the residual.
    count = len(fit.noise)
    weight, a = fit.noise**-2.0, fit.amplitude
    geometry, heights = np.array([0, 1, 2, 3 + count]), np.arange(3, 3 + count)
    precision, read = np.zeros((n, 4 + count, 4 + count)), np.zeros((n, 4 + count))
    shapes = np.array([0, 1, 2, 4])
    precision[:, geometry[:, None], geometry] = (weight @ a**2)[:, None, None] * gram[:, shapes[:, None], shapes]
    precision[:, geometry[:, None], heights] = gram[:, shapes, 3][:, :, None] * (weight * a.T)[:, None]
    precision[:, heights[:, None], geometry] = precision[:, geometry[:, None], heights].transpose(0, 2, 1)
    precision[:, heights, heights] = gram[:, 3, 3][:, None] * weight
    read[:, geometry] = np.einsum("c,cn,ncp->np", weight, a, projected[:, :, shapes])
    read[:, heights] = weight * projected[:, :, 3]
    # What the others leave of the edge: to a diagonal of 1, so that one that says nothing leaves all.
    unit = np.sqrt(np.maximum(np.einsum("nii->ni", precision), 1e-300))
    scaled, seen = precision / unit[:, :, None] / unit[:, None], read / unit
    answer = np.einsum(
        "nij,nj->ni", np.linalg.pinv(scaled[:, :-1, :-1], rcond=1e-10, hermitian=True), scaled[:, :-1, -1]
    )
    information = scaled[:, -1, -1] - (answer * scaled[:, :-1, -1]).sum(1)
    score = seen[:, -1] - (answer * seen[:, :-1]).sum(1)
    clear = information > _SAYS_NOTHING
    scores = np.where(clear, score / np.sqrt(np.where(clear, information, 1.0)), 0.0)
    return np.asarray(scores / fit.posterior.inflation[:, 2])


def with_own_edges(fit: JointFit, pixels: Pixels) -> JointFit:
    """The fit with an edge of its own for each droplet, where edges clearly differ; else the same fit.

    Standard deviations are those of the droplet alone with its own edge, wider by as much as the joint fit's are than
    those of the droplet alone with the shared edge: for background, shape and neighbours. Noise and inflation are those
    of what is then left over.
    """
    if not edges_differ(fit, pixels).any():
        return fit
    problem, engine = Problem(pixels, fit.profile, fit.scales), pixels.engine
    shared, all_of_them = replace(fit.state, bg=fit.state.bg.copy()), np.arange(len(fit.x))
    state = replace(shared, edge=np.full(len(fit.x), shared.shape[problem.edge_number]))
    left, bounds = engine.image(fit.residuals.image.astype(np.float64)), bounds_of(problem, shared)
    before = squares(problem, left)
    # What of an image (H, W) the background's splines make up best.
    down, along = (
        engine.image(np.asarray(np.linalg.pinv(basis), np.float64)) for basis in (problem.down, problem.along)
    )
    for _ in range(_ROUNDS):
        start, damping = LocalStart(state, left, fit.noise), np.full(len(fit.x), _DAMPING)
        end = descend_locally(problem, start, all_of_them, bounds, damping, (_GAIN, WORSE))
        # What halos the background had taken up is given back.
        more = engine.array(down @ end.residual @ along.T).reshape(state.bg.shape)
        state = replace(end.state, bg=end.state.bg + more)
        left = end.residual - problem.background(more)
    share = np.sqrt(squares(problem, left) / np.maximum(before, 1e-300))
    noise = fit.noise * np.minimum(share, 1.0)
    columns = columns_of(problem, state)
    inflation = inflation_of(pixels, state, columns, left, noise)
    old = fit.posterior.inflation
    plain = fit.posterior.covariance / (old[:, :, None] * old[:, None])
    alone = _covariance_alone(problem, shared, columns_of(problem, shared), left, fit.noise)
    wider = np.sqrt(np.maximum(np.einsum("nii->ni", plain) / np.einsum("nii->ni", alone), 1.0))
    plain = (
        _covariance_alone(problem, state, columns, left, fit.noise)[:, :-1, :-1] * wider[:, :, None] * wider[:, None]
    )
    plain *= float(np.square(noise / fit.noise).mean())
    covariance = plain * inflation.factor[:, :, None] * inflation.factor[:, None]
    widened = np.sqrt(np.einsum("nii->ni", covariance) / np.einsum("nii->ni", fit.posterior.covariance))
    return replace(
        fit,
        state=replace(state, bg=fit.state.bg, edge=None),
        noise=noise,
        background=engine.array(problem.background(state.bg)).astype(np.float32),
        posterior=fit.posterior._replace(covariance=covariance, inflation=old * widened),
        residuals=fit.residuals._replace(
            image=engine.array(left).astype(np.float32),
            reduced_chi_square=fit.residuals.reduced_chi_square * np.minimum(share, 1.0) ** 2,
            noise_correlation=inflation.noise_correlation,
            at_droplets=inflation.misfit,
        ),
        edges=np.exp(np.asarray(state.edge)),
    )


def _covariance_alone(problem: Problem, state: State, columns: Pictures, residual: Image, noise: Array) -> Array:
    """Covariance of each droplet's unknowns, all others known, (N, D, D)."""
    equations = equations_of_droplets(problem, state, columns, residual, noise)
    own = equations.pairs[:, 0] == equations.pairs[:, 1]
    blocks = np.empty((len(state.x), *equations.blocks.shape[1:]))
    blocks[equations.pairs[own, 0]] = equations.blocks[own]
    return np.asarray(np.linalg.inv(blocks))
