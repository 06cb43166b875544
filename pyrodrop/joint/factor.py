"""The joint precision factored: solutions, marginal covariances, draws and its determinant.

With droplets D and shared parameters K, H = [[D, B], [B^T, K]]. D is sparse and is factored as L diag(d) L^T by
SuperLU without pivoting, in an order that keeps L sparse; the shared parameters by the Schur complement
S = K - B^T D^-1 B. All is exact. The marginal blocks of D^-1 come from Takahashi's recurrence on L's own pattern, and
B's share is added.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse
import scipy.sparse.linalg
from numpy.typing import NDArray

from pyrodrop.joint.normal_equations import Equations
from pyrodrop.joint.priors import Array
from pyrodrop.joint.sparse_solver import factorised

# How nearly a step solves its equations, in how many products: the quadratic that they are of is itself no better.
_NEARLY, _MOST = 1e-3, 200
# Of the diagonal: the droplets' pictures have single precision, and two droplets that are all but one have a pivot that
# is no larger than what that leaves; below 0 it would have no logarithm.
_ROUNDING = 4 * float(np.finfo(np.float32).eps)
_NEXT_TO_NOTHING = 1e-30  # of the diagonal


@dataclass(frozen=True)
class Factor:
    """H factored, for N droplets of D unknowns; see the module.

    Attributes:
        scale: what D was scaled by on both sides to a unit diagonal, shape (N D,).
        droplets: SuperLU's factors of the scaled D, or None without droplets.
        back: D^-1 B, shape (N D, shared).
        shared: lower Cholesky factor of S.
        width: D.
    """

    scale: Array
    droplets: Any
    back: Array
    shared: Array
    width: int

    @property
    def log_determinant(self) -> float:
        """Log determinant of H."""
        total = 2 * np.log(np.diag(self.shared)).sum() - 2 * np.log(self.scale).sum()
        return float(total if self.droplets is None else total + np.log(self._pivots).sum())

    @cached_property
    def _pivots(self) -> Array:
        pivots: Array = self.droplets.U.diagonal()
        return pivots

    @cached_property
    def _below(self) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
        """L below its diagonal, column by column: where each begins, its rows and its values."""
        below = scipy.sparse.tril(self.droplets.L, -1, format="csc")
        below.sort_indices()
        return below.indptr.astype(np.int64), below.indices.astype(np.int64), below.data

    def marginals(self) -> Array:
        """Marginal covariance of each droplet's unknowns, shape (N, D, D)."""
        n = len(self.scale) // self.width
        blocks = np.zeros((n, self.width, self.width))
        if n == 0:
            return blocks
        from pyrodrop.joint.sums.windows import selected_inverse  # importing Numba is left to who needs it

        diagonal = np.zeros(len(self.scale))
        start, row, value = self._below
        below = selected_inverse(start, row, value, self._pivots, diagonal)
        # Permuted place p holds unknown order[p]; keep the entries within one droplet.
        order = np.argsort(self.droplets.perm_c)
        column = order[np.repeat(np.arange(len(order)), np.diff(start))]
        row = order[row]
        same = row // self.width == column // self.width
        row, column, value = row[same], column[same], below[same]
        for a, b, c in ((row, column, value), (column, row, value), (order, order, diagonal)):
            blocks[a // self.width, a % self.width, b % self.width] = c * self.scale[a] * self.scale[b]
        outer = scipy.linalg.solve_triangular(self.shared, self.back.T, lower=True).T.reshape(n, self.width, -1)
        blocks += outer @ outer.transpose(0, 2, 1)
        return blocks

    def shared_covariance(self) -> Array:
        """Marginal covariance of the shared parameters."""
        return scipy.linalg.cho_solve((self.shared, True), np.eye(len(self.shared)))

    def draws(self, normal: Array) -> Array:
        """Deviations of all unknowns drawn jointly: standard normals (n, N D + shared) to the same shape."""
        count = len(self.scale)
        outer = scipy.linalg.solve_triangular(self.shared.T, normal[:, count:].T, lower=False).T
        if count == 0:
            return outer
        from pyrodrop.joint.sums.windows import solve_upwards  # importing Numba is left to who needs it

        inner = np.ascontiguousarray((normal[:, :count] / np.sqrt(self._pivots)).T)
        solve_upwards(*self._below, inner)
        inner = self.scale[:, None] * inner[self.droplets.perm_c]
        return np.concatenate([inner.T - outer @ self.back.T, outer], 1)


def factor(equations: Equations) -> Factor:
    """Factor the precision.

    Raises:
        numpy.linalg.LinAlgError: the precision is not positive.
    """
    n, width = equations.droplet_gradient.shape
    back = equations.coupling.reshape(n * width, len(equations.shared))
    if n == 0:
        return Factor(np.zeros(0), None, back, _cholesky(equations.shared, equations.shared_prior), width)
    scale, factors = _factor_droplets(equations)
    solved = scale[:, None] * factors.solve(scale[:, None] * back)
    schur = equations.shared - back.T @ solved
    return Factor(scale, factors, solved, _cholesky((schur + schur.T) / 2, equations.shared_prior), width)


def _cholesky(precision: Array, prior: Array) -> Array:
    """Lower Cholesky factor of a precision that is the image's and that of the priors, whose diagonal is given.

    What the image tells is no less than nothing, so in units of the prior no eigenvalue is below 1. Many droplets of
    little noise tell 10^16 times more of some of the shared parameters than the priors do, and of the constant that may
    be added to the curve of "radial" nothing. Rounding can then leave less than that 1, even less than 0: it is raised
    to 1.
    """
    try:
        return np.asarray(scipy.linalg.cholesky(precision, lower=True))
    except np.linalg.LinAlgError:
        unit = 1 / np.sqrt(prior)
        values, axes = scipy.linalg.eigh(unit[:, None] * precision * unit)
        root = np.sqrt(np.maximum(values, 1.0))[:, None] * axes.T / unit
        upper = scipy.linalg.qr(root, mode="r")[0]
        return np.asarray((np.sign(np.diag(upper))[:, None] * upper).T)


def step(equations: Equations, damping: Array, steady: float, held: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Step down the gradient, -H^-1 g, in its two parts, shapes (N, D) and (shared,).

    The system of the shared parameters, S u = v, is solved by conjugate gradients, preconditioned with K: each product
    with S takes one solution with D, where S itself would take as many as there are shared parameters.

    Args:
        equations: precision H and gradient g.
        damping: share by which each droplet's part of the diagonal of H is raised, shape (N,).
        steady: the same of the shared parameters.
        held: unknowns of droplets that do not move, shape (N, D).

    Raises:
        numpy.linalg.LinAlgError: the precision is not positive.
    """
    n, width = equations.droplet_gradient.shape
    if not len(equations.shared):
        scale, factors = _factor_droplets(equations, damping, held)
        downhill = (-equations.droplet_gradient * ~held).ravel()
        return (scale * factors.solve(scale * downhill)).reshape(n, width) * ~held, np.zeros(0)
    shared = equations.shared + np.diag(np.diag(equations.shared)) * steady
    lower = scipy.linalg.cholesky(shared, lower=True)
    shared_downhill = -equations.shared_gradient
    if n == 0:
        return np.zeros((0, width)), scipy.linalg.cho_solve((lower, True), shared_downhill)
    scale, factors = _factor_droplets(equations, damping, held)
    # A droplet meets few of the background's splines.
    back = scipy.sparse.csr_matrix(equations.coupling.reshape(n * width, len(equations.shared)))
    forth = back.T.tocsr()
    downhill = (-equations.droplet_gradient * ~held).ravel()

    def inner(vector: Array) -> Array:
        return np.asarray(scale * factors.solve(scale * vector))

    outer = _conjugate_gradients(
        lambda u: shared @ u - forth @ inner(back @ u), lower, shared_downhill - forth @ inner(downhill)
    )
    return inner(downhill - back @ outer).reshape(n, width) * ~held, outer


def _conjugate_gradients(product: Callable[[Array], Array], lower: Array, right: Array) -> Array:
    """The solution of product(x) = right, nearly, preconditioned with lower lower^T; SciPy's take as long to call it
    all as the products take.
    """
    x, residual, limit = np.zeros_like(right), right, _NEARLY * float(np.linalg.norm(right))
    direction, before = right, np.inf
    for _ in range(_MOST):
        if np.linalg.norm(residual) <= limit:
            break
        near, _ = scipy.linalg.lapack.dpotrs(lower, residual, lower=1)
        size = float(residual @ near)
        direction = near + size / before * direction
        ahead = product(direction)
        length = size / float(direction @ ahead)
        x, residual, before = x + length * direction, residual - length * ahead, size
    return x


def _factor_droplets(
    equations: Equations, damping: Array | None = None, held: NDArray[np.bool_] | None = None
) -> tuple[Array, Any]:
    """Scale to a unit diagonal, shape (N D,), and SuperLU's factors of the droplets' part so scaled."""
    n, width = equations.droplet_gradient.shape
    blocks = equations.blocks.copy()
    own = equations.pairs[:, 0] == equations.pairs[:, 1]
    on_diagonal = np.einsum("pdd->pd", blocks)
    if damping is not None:
        on_diagonal[own] *= 1 + damping[equations.pairs[own, 0], None]
    if held is not None:
        # So stiff that it stays where it is, to all digits that matter, while the pattern stays the same.
        on_diagonal[own] *= np.where(held[equations.pairs[own, 0]], 1e9, 1.0)
    diagonal = np.empty((n, width))
    diagonal[equations.pairs[own, 0]] = on_diagonal[own]
    scale = 1 / np.sqrt(diagonal.ravel())
    on_diagonal[own] *= 1 + _ROUNDING
    from pyrodrop.joint.sums.sparse_columns import columns_of_blocks  # importing Numba is left to who needs it

    # Where heights in two channels do not meet, the inverse has numbers, and a zero would be left out of the factor.
    start, row, value = columns_of_blocks(equations.pairs, blocks, scale, _NEXT_TO_NOTHING)
    matrix = scipy.sparse.csc_matrix((value, row, start), shape=(n * width, n * width))
    matrix.has_canonical_format = True
    return scale, factorised(matrix)
