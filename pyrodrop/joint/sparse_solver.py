"""How sparse symmetric positive definite systems are factored here: the one setting of SuperLU."""

import scipy.sparse
import scipy.sparse.linalg


def factorised(matrix: scipy.sparse.spmatrix) -> scipy.sparse.linalg.SuperLU:
    """SuperLU's factors of a symmetric and positive definite matrix, in an order that keeps them sparse.

    No pivots are looked for, so that L diag(d) L^T is what is factored, d being the diagonal of U.
    """
    return scipy.sparse.linalg.splu(
        scipy.sparse.csc_matrix(matrix),
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )
