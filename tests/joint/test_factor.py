"""The factored precision where rounding has eaten what the priors tell."""

import numpy as np
import pytest

from pyrodrop.joint.factor import factor
from pyrodrop.joint.normal_equations import Equations


@pytest.mark.parametrize("told", [1e6, 1e17, 1e20, 1e24])
def test_what_the_image_does_not_tell_is_as_the_priors_say_at_most(told: float) -> None:
    """One direction is known ``told`` times better than by the priors, in doubles to which the priors are nothing."""
    prior = np.array([1.8, 1.0, 1.0, 4.0, 0.5])
    direction = np.array([1.0, 2.0, -1.0, 0.5, 3.0])
    none = np.zeros((0, 4))
    equations = Equations(
        pairs=np.zeros((0, 2), np.int64),
        blocks=np.zeros((0, 4, 4)),
        coupling=np.zeros((0, 4, 5)),
        shared=np.diag(prior) + told * np.outer(direction, direction),
        shared_prior=prior,
        droplet_gradient=none,
        shared_gradient=np.zeros(5),
    )
    made = factor(equations)
    covariance = made.shared_covariance()
    assert np.isfinite(made.log_determinant)
    assert np.linalg.eigvalsh(covariance).min() > -1e-12
    assert (np.diag(covariance) * prior <= 1 + 1e-9).all()
    # By Sherman and Morrison, the variance along the direction is p / (1 + told p), p that of the priors.
    along = float(direction @ (direction / prior))
    assert direction @ covariance @ direction == pytest.approx(along / (1 + told * along), rel=1e-3, abs=1e-15)


def test_two_droplets_that_are_one_up_to_rounding_have_a_determinant_and_draws() -> None:
    """Between them a precision that is singular, less what single precision leaves of the pictures it is made of."""
    root = np.random.default_rng(1).normal(size=(4, 6))
    own = root @ root.T
    equations = Equations(
        pairs=np.array([[0, 0], [1, 1], [0, 1]]),
        blocks=np.array([own, own, own * (1 + 1e-7)]),
        coupling=np.zeros((2, 4, 1)),
        shared=np.eye(1),
        shared_prior=np.ones(1),
        droplet_gradient=np.zeros((2, 4)),
        shared_gradient=np.zeros(1),
    )
    made = factor(equations)
    assert np.isfinite(made.log_determinant)
    assert np.isfinite(made.draws(np.ones((3, 9)))).all()
    # What both together are is known as well as of one.
    total = made.draws(np.random.default_rng(2).normal(size=(4000, 9)))[:, :8].reshape(-1, 2, 4).sum(1)
    assert np.cov(total.T) == pytest.approx(np.linalg.inv(own), rel=0.15, abs=0.02)


@pytest.mark.parametrize("channels", [1, 3])
def test_marginals_are_the_blocks_of_the_inverse(channels: int) -> None:
    """Of droplets that meet and of some that do not; heights in two channels meet nowhere."""
    g, n, width, shared = np.random.default_rng(3), 30, 3 + channels, 5
    pairs = np.array([(i, j) for i in range(n) for j in range(i, min(i + 4, n)) if i == j or g.random() < 0.4])
    blocks = 0.1 * g.normal(size=(len(pairs), width, width))
    own = pairs[:, 0] == pairs[:, 1]
    blocks[own] = np.eye(width) * 2 + (blocks[own] + blocks[own].transpose(0, 2, 1))
    blocks[:, 3:, 3:] *= np.eye(channels)
    coupling, root = 0.1 * g.normal(size=(n, width, shared)), g.normal(size=(shared, shared))
    equations = Equations(
        pairs=pairs,
        blocks=blocks,
        coupling=coupling,
        shared=root @ root.T + 5 * np.eye(shared),
        shared_prior=np.ones(shared),
        droplet_gradient=np.zeros((n, width)),
        shared_gradient=np.zeros(shared),
    )
    whole = np.zeros((n * width + shared,) * 2)
    for (i, j), block in zip(pairs * width, blocks, strict=True):
        whole[i : i + width, j : j + width], whole[j : j + width, i : i + width] = block, block.T
    whole[: n * width, n * width :] = coupling.reshape(-1, shared)
    whole[n * width :, : n * width] = coupling.reshape(-1, shared).T
    whole[n * width :, n * width :] = equations.shared
    inverse = np.linalg.inv(whole)
    expected = [inverse[k : k + width, k : k + width] for k in range(0, n * width, width)]
    np.testing.assert_allclose(factor(equations).marginals(), expected, rtol=1e-4, atol=1e-6)
