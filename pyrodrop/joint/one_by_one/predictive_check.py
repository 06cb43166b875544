"""Would the model have drawn such an image? Two probabilities of a residual as large as this one, if it were true.

Both are posterior predictive (Gelman, Meng and Stern, *Statistica Sinica* 6, 1996), with the exact distribution of
what a linear fit leaves of white noise in place of images drawn and fitted again: a fit takes from noise e what its
derivatives span, (1 - Q Q') e with Q an orthonormal basis of them.

**Rings.** About each droplet the residual is averaged over rings, in units of the radius. With V the rings' indicators,
normed, s = V' residual has the covariance S = 1 - V' Q Q' V, and s' S^-1 s a chi-square distribution of as many degrees
of freedom as S has ranks; so has the sum over all droplets. A rim, a core, a shade or another edge than the profile's
shows in it.

**Neighbours.** The sum of products of neighbouring pixels is expected to be minus the sum over all these pairs of
(Q Q')_ij, with a variance of the number of pairs. Texture, lettering, walls and all else that the model has no word
for go together from pixel to pixel, as noise does that is not independent; only more than expected speaks against the
model.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyrodrop.joint.one_by_one.one_droplet import LocalView
from pyrodrop.rendering import Profile
from pyrodrop.rendering.kernels.columns import Columns, columns_of_droplets

Array = NDArray[np.float64]
# Ends of the rings in radii of half height: the core, the inside, either side of the edge, and what is around it.
_RINGS = (0.0, 0.5, 0.8, 1.0, 1.2, 1.5)
# Of the variance of a ring's mean, what rounding leaves where the fit has taken all of it.
_NOTHING = 1e-6


class PredictiveCheck(NamedTuple):
    """Probabilities that an image of the model is fitted no better than this one, 0 to 1.

    rings: by the rings of residual about droplets; 1 where there are none. neighbours: by how neighbouring pixels of
    the residual go together.
    """

    rings: float
    neighbours: float

    @property
    def p_value(self) -> float:
        """Of both together, the smaller one doubled (Bonferroni)."""
        return min(1.0, 2 * min(self.rings, self.neighbours))


class FittedDroplets(NamedTuple):
    """N droplets in C channels: x, y and r in px, (N,), the shape that they share, (S,), and their heights, (C, N)."""

    profile: Profile
    x: Array
    y: Array
    r: Array
    shape: Array
    amplitude: Array


def predictive_check(
    droplets: FittedDroplets,
    residual: Array,
    noise: Array,
    coefficients: int,
    known: NDArray[np.bool_] | None = None,
) -> PredictiveCheck:
    """How likely the model is to leave as much of an image as it has left of this one.

    Args:
        droplets: what was fitted.
        residual: the image less all that the model says, (C, H, W).
        noise: standard deviation of a pixel's noise, (C,).
        coefficients: how many numbers the background of a channel has.
        known: pixels that were looked at, (H, W); None for all.
    """
    from scipy.special import chdtrc, ndtr

    z = residual / noise[:, None, None]
    if known is not None:
        z = z * known
    profile, size = droplets.profile, residual.shape[1:]
    columns = columns_of_droplets(profile, droplets.x, droplets.y, droplets.r, droplets.shape, size, profile.left_out)
    half = profile.half_radius(droplets.r, droplets.shape)
    statistic, freedom, taken = 0.0, 0, float(2 * coefficients * len(z))
    for k in range(len(droplets.x)):
        view, basis = _fitted_space(columns, k, droplets.amplitude[:, k], noise)
        if basis.size:
            taken += _along_pairs(basis.reshape(len(z), *view.pictures.shape[1:], -1))
            rings = _rings(view.window, (droplets.x[k], droplets.y[k], half[k]), known, len(z))
            drawn = _chi_square(rings, basis, z[(slice(None), *view.window)].ravel())
            statistic, freedom = statistic + drawn[0], freedom + drawn[1]
    variance = float(np.square(z).sum() / max(_pixels(z, known), 1))
    pairs = _pairs(z, known)
    beyond = (_along_pairs(z[..., None]) / max(variance, 1e-300) + taken) / np.sqrt(max(pairs, 1))
    return PredictiveCheck(float(chdtrc(freedom, statistic)) if freedom else 1.0, float(ndtr(-beyond)))


def _fitted_space(columns: Columns, k: int, amplitude: Array, noise: Array) -> tuple[LocalView, Array]:
    """The k-th droplet's window, and an orthonormal basis of the derivatives by its unknowns, (C h w, D)."""
    view = LocalView.of(columns, k)
    if not view.pictures.size:
        return view, np.zeros((0, 0))
    matrix = view.derivatives(amplitude, noise)
    return view, np.linalg.qr(matrix / np.maximum(np.linalg.norm(matrix, axis=0), 1e-300))[0]


def _rings(
    window: tuple[slice, slice], circle: tuple[float, float, float], known: NDArray[np.bool_] | None, channels: int
) -> Array:
    """Normed indicators of the rings in each channel, (C h w, n), those without pixels left out."""
    rows, along = (np.arange(side.start, side.stop) for side in window)
    x, y, half = circle
    distance = np.hypot(rows[:, None] - y, along - x) / half
    number = np.digitize(distance, _RINGS) - 1
    if known is not None:
        number = np.where(known[window], number, -1)
    of_ring = number.ravel()[:, None] == np.arange(len(_RINGS) - 1)
    of_ring = of_ring[:, of_ring.any(0)] / np.sqrt(np.maximum(of_ring.sum(0)[of_ring.any(0)], 1))
    return np.kron(np.eye(channels), of_ring)


def _chi_square(rings: Array, basis: Array, z: Array) -> tuple[float, int]:
    """Of one droplet's rings s' S^-1 s, and its degrees of freedom."""
    taken = basis.T @ rings
    values, vectors = np.linalg.eigh(np.eye(rings.shape[1]) - taken.T @ taken)
    left = values > _NOTHING
    s = vectors[:, left].T @ (rings.T @ z)
    return float((s**2 / values[left]).sum()), int(left.sum())


def _along_pairs(basis: Array) -> float:
    """The sum of products of neighbouring pixels, over all of D pictures, (C, h, w, D)."""
    return float((basis[:, 1:] * basis[:, :-1]).sum() + (basis[:, :, 1:] * basis[:, :, :-1]).sum())


def _pixels(z: Array, known: NDArray[np.bool_] | None) -> int:
    return z.size if known is None else len(z) * int(known.sum())


def _pairs(z: Array, known: NDArray[np.bool_] | None) -> int:
    seen = np.ones(z.shape[1:], bool) if known is None else known
    return len(z) * int((seen[1:] & seen[:-1]).sum() + (seen[:, 1:] & seen[:, :-1]).sum())
