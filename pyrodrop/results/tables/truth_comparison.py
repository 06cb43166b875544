"""A droplet table against a known truth."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd


def compare_with_truth(table: "pd.DataFrame", truth: "pd.DataFrame") -> dict[str, float | int | None]:
    """Match measured droplets to true ones, one to one at the least total distance, and say how well they agree.

    A pair can match when its centres are closer than half the true radius, or 2 px where that is less.

    Args:
        table: a droplet table, all of whose rows count. Where it has sigma_px, that is held against the true radius,
            which is then a Gaussian's own.
        truth: columns x_px, y_px, radius_px, and amplitude where known.

    Returns:
        n_true, n_found, n_matched, recall, precision, f1, centre_rmse_px (root mean square distance of the
        matches), radius_median_abs_rel and amplitude_median_abs_rel (medians of the absolute relative errors).
        None where nothing matched.
    """
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    if "sigma_px" in table:
        table = table.assign(radius_px=table["sigma_px"])
    distance = cdist(truth[["x_px", "y_px"]], table[["x_px", "y_px"]])
    reach = np.maximum(0.5 * truth["radius_px"].to_numpy(), 2.0)
    far = 1e6
    rows, columns = linear_sum_assignment(np.where(distance <= reach[:, None], distance, far))
    close = distance[rows, columns] <= reach[rows]
    rows, columns = rows[close], columns[close]
    recall, precision = len(rows) / max(len(truth), 1), len(rows) / max(len(table), 1)

    def relative(name: str) -> float | None:
        if not len(rows) or name not in truth or name not in table:
            return None
        true, seen = truth[name].to_numpy()[rows], table[name].to_numpy()[columns]
        return float(np.median(np.abs(seen / true - 1.0)))

    return {
        "n_true": len(truth),
        "n_found": len(table),
        "n_matched": len(rows),
        "recall": recall,
        "precision": precision,
        "f1": 2 * recall * precision / max(recall + precision, 1e-12),
        "centre_rmse_px": float(np.sqrt((distance[rows, columns] ** 2).mean())) if len(rows) else None,
        "radius_median_abs_rel": relative("radius_px"),
        "amplitude_median_abs_rel": relative("amplitude"),
    }


def shared(table: "pd.DataFrame", other: "pd.DataFrame", factor: float = 1.5) -> NDArray[np.bool_]:
    """Which droplets of a table another has too: a centre within half a radius, a radius within a factor.

    Returns:
        One boolean per row of ``table``. One droplet of ``other`` may stand for several.
    """
    from scipy.spatial import cKDTree

    shared_rows = np.zeros(len(table), bool)
    if not len(other):
        return shared_rows
    tree = cKDTree(other[["x_px", "y_px"]].to_numpy())
    radii = other["radius_px"].to_numpy()
    own = table["radius_px"].to_numpy()
    for i, near in enumerate(tree.query_ball_point(table[["x_px", "y_px"]].to_numpy(), 0.5 * own)):
        ratio = radii[near] / own[i]
        shared_rows[i] = bool(((ratio < factor) & (ratio > 1 / factor)).any())
    return shared_rows
