"""How many kinds of droplets there are, and which each is of: the mode of ``models.kinds`` and its evidence.

For a number of kinds the mode is found by turns ("Extreme deconvolution", Bovy, Hogg and Roweis 2011): with x_i what
was measured of a droplet and S_i the covariance of its error, a kind of centre m and covariance V expects of the
droplet's own values b = m + V (V + S_i)^-1 (x_i - m) with covariance B = V - V (V + S_i)^-1 V, and is made of these.

The number is that of the greatest integrated completed likelihood (Biernacki, Celeux and Govaert 2000),

    log p(x | mode) - (parameters / 2) log n - sum_i sum_k p_ik log(1 / p_ik):

the evidence of the mixture together with who is of which kind. Two normals that lie on each other, as the two halves of
a skew or broad population would be told, leave open which of them a droplet is of, and pay for it: they are one kind.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pyrodrop.models.kinds import CENTRE_WIDTH, prior_of_kinds

Array = NDArray[np.float64]

MOST_KINDS = 6
_FEW_TURNS, _TURNS = 12, 200  # from each start, and on from the best of them
_TOLERANCE = 1e-5  # of the log density, per droplet
_STARTS = 2


class Mixture(NamedTuple):
    """A mode of ``models.kinds``: share (K,), centre (K, F), covariance (K, F, F); membership (N, K) of each droplet.

    log_density: of the droplets and the prior. criterion: integrated completed likelihood.
    """

    share: Array
    centre: Array
    covariance: Array
    membership: Array
    log_density: float
    criterion: float

    def membership_of(self, features: Array, errors: Array) -> Array:
        """Probability that a droplet is of each kind, (N, K), of any droplets as ``kinds_of`` takes them."""
        inverse = np.asarray(np.linalg.inv(self.covariance[:, None] + errors))
        each = _log_each(self.share, self.centre, inverse, features)
        return np.asarray(np.exp(each - np.logaddexp.reduce(each, 1)[:, None]))


def kinds_of(features: Array, errors: Array, presence: Array | None = None, most: int = MOST_KINDS) -> list[Mixture]:
    """The modes with 1, 2, ... kinds, the last of which has the greatest criterion.

    Args:
        features: what was measured of each droplet, (N, F).
        errors: covariance of its error, (N, F, F).
        presence: probability that each is a droplet, (N,), by which it counts; None for 1.
        most: kinds at most.

    Raises:
        ValueError: no droplets.
    """
    n = len(features)
    if n < 1:
        raise ValueError("there are no droplets: give at least one.")
    counts = np.ones(n) if presence is None else np.asarray(presence, dtype=np.float64)
    modes = [_best_of([np.ones((n, 1))], features, errors, counts)]
    best = 0
    for number in range(2, most + 1):
        if counts.sum() < number * (features.shape[1] + 1):
            break
        modes.append(_best_of(_starts(features, modes[-1].membership, number), features, errors, counts))
        fewest = (counts @ modes[-1].membership).min()
        if modes[-1].criterion > modes[best].criterion and fewest >= 1:  # a kind has a droplet at least
            best = number - 1
        elif number - 1 - best >= 2:  # two in a row that are no better
            break
    return modes[: best + 1]


def _starts(features: Array, before: Array, number: int) -> list[Array]:
    """Memberships to start from: the last ones with one kind parted along its longest axis, and centres drawn apart."""
    unit = (features - features.mean(0)) / np.maximum(features.std(0), 1e-12)
    starts = []
    for k in range(before.shape[1]):
        own = before[:, k]
        centred = unit - own @ unit / max(own.sum(), 1e-12)
        _, axes = np.linalg.eigh((centred * own[:, None]).T @ centred)
        for axis in axes.T[::-1][:1]:
            right = (centred @ axis > 0).astype(float)
            starts.append(np.column_stack([np.delete(before, k, 1), own * right, own * (1 - right)]))
    rng = np.random.default_rng(0)
    for _ in range(_STARTS):
        centres = unit[[rng.integers(len(unit))]]
        while len(centres) < number:  # as far apart as k-means++ has them (Arthur and Vassilvitskii 2007)
            squared = ((unit[:, None] - centres) ** 2).sum(2).min(1)
            chance = squared / squared.sum() if squared.sum() > 0 else None
            centres = np.concatenate([centres, unit[[rng.choice(len(unit), p=chance)]]])
        nearest = ((unit[:, None] - centres) ** 2).sum(2).argmin(1)
        starts.append(np.eye(number)[nearest])
    return starts


def _best_of(starts: list[Array], features: Array, errors: Array, counts: Array) -> Mixture:
    """The mode that is reached from the best of these memberships, after a few turns of each."""
    few = [_by_turns(start, features, errors, counts, _FEW_TURNS) for start in starts]
    best = max(few, key=lambda mode: mode.log_density)
    return _by_turns(best.membership, features, errors, counts, _TURNS)


def _by_turns(membership: Array, features: Array, errors: Array, counts: Array, turns: int) -> Mixture:
    """The mode that is reached from a membership."""
    n, f = features.shape
    k = membership.shape[1]
    mean, psi = (part.numpy() for part in prior_of_kinds(torch.from_numpy(features), torch.from_numpy(errors)))
    wide = CENTRE_WIDTH * np.maximum(features.std(0), 1e-9)
    weight = membership * counts[:, None] + 1e-12
    centre = weight.T @ features / weight.sum(0)[:, None]
    covariance = np.array([_scatter(features, weight[:, j], centre[j]) for j in range(k)]) + psi / (n + 1)
    share, log_density = weight.sum(0) / weight.sum(), -np.inf
    each = np.zeros((n, k))
    for _ in range(turns):
        total = covariance[:, None] + errors  # (K, N, F, F)
        inverse = np.asarray(np.linalg.inv(total))
        each = _log_each(share, centre, inverse, features)
        whole = np.logaddexp.reduce(each, 1)
        precision = np.linalg.inv(covariance)
        prior = (-((centre - mean) ** 2) / (2 * wide**2)).sum() - np.einsum("ij,kji->", psi, precision) / 2
        prior += np.linalg.slogdet(precision)[1].sum() / 2 - k * np.log(wide).sum()
        before, log_density = log_density, float(counts @ whole + prior)
        membership = np.exp(each - whole[:, None])
        if log_density - before < _TOLERANCE * n:
            break
        weight = membership * counts[:, None]
        shrunk = inverse @ covariance[:, None]  # (V + S)^-1 V
        own = centre[:, None] + (np.swapaxes(shrunk, -1, -2) @ (features - centre[:, None])[..., None])[..., 0]
        left = covariance[:, None] - covariance[:, None] @ shrunk
        number = weight.sum(0)
        share = np.maximum(number, 1e-12) / number.sum()
        for j in range(k):
            pull = precision[j] * number[j] + np.diag(wide**-2.0)
            centre[j] = np.linalg.solve(pull, precision[j] @ (weight[:, j] @ own[j]) + mean * wide**-2.0)
            off = own[j] - centre[j]
            spread = (off * weight[:, j, None]).T @ off + np.einsum("n,nab->ab", weight[:, j], left[j])
            # The mode of a Wishart posterior of F + 2 + n degrees.
            covariance[j] = (spread + psi) / (number[j] + 1)
    likelihood = float(counts @ np.logaddexp.reduce(each, 1))
    parameters = k - 1 + k * f + k * f * (f + 1) / 2
    doubt = -(counts[:, None] * membership * np.log(np.maximum(membership, 1e-300))).sum()
    criterion = likelihood - parameters / 2 * np.log(max(counts.sum(), 1.0)) - float(doubt)
    return Mixture(share, centre, covariance, membership, log_density, criterion)


def _log_each(share: Array, centre: Array, inverse: Array, features: Array) -> Array:
    """Log of the share times the density of each kind, (N, K); inverse: of covariances with errors, (K, N, F, F)."""
    apart = (features - centre[:, None])[..., None]
    square = (apart * (inverse @ apart)).sum((-1, -2))
    return np.asarray((np.log(share)[:, None] - (square - np.linalg.slogdet(inverse / (2 * np.pi))[1]) / 2).T)


def _scatter(features: Array, weight: Array, centre: Array) -> Array:
    off = features - centre
    return np.asarray((off * weight[:, None]).T @ off / weight.sum())
