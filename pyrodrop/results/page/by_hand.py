"""What a page needs to correct results by hand: how sure each candidate is, and which results the edits are of."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pyrodrop.results.statistics.shared_doubt import central_log_odds, shared_values
from pyrodrop.results.statistics.unfitted import Unfitted
from pyrodrop.results.storage.result_folder import ResultFolder
from pyrodrop.results.storage.run_files import digest_of, is_altered

# So many values of what all droplets share, as ``counts.count_distribution`` takes.
_SHARED_VALUES = 200
_SURE = 40.0  # log odds of what is certain, which JSON can hold
_NEEDED = ("fit.pt", "image.tif", "candidates.csv")


def can_be_edited(run: ResultFolder) -> bool:
    """Whether ``pyrodrop edit`` would take these results: those of one image that was measured whole."""
    measured = "profile" in run.summary and "tiles" not in run.summary
    return (
        measured
        and not run.table_altered
        and all(run.file(name) and not is_altered(run.path, name) for name in _NEEDED)
    )


def counting(run: ResultFolder) -> dict[str, Any] | None:
    """How many droplets there are, as a page counts them: of the rows of its table, and of the candidates beyond.

    Returns:
        ``shared``, how much doubt all share; ``u``, equally spaced values of it; ``rows``, log odds of the table's
        rows given 0; ``unfitted``, how many circles are too improbable to be candidates, their presence, how much
        doubt they share, and their log odds given 0; ``others``, with presence, diameter, flags and log odds of the
        other candidates; ``scale``, diameters in the page's unit per radius in px; and ``sha256`` of ``droplets.csv``.
        None where droplets were not counted.
    """
    if not isinstance(run.summary.get("count"), Mapping) or run.table_altered:
        return None
    stated = run.summary.get("shared_doubt")
    shared = float(stated) if isinstance(stated, int | float) and 0 <= stated < _SURE else 0.0
    others = other_candidates(run)
    unfitted = unfitted_of(run)
    scale = 2 * (run.pixel_size_um or 1.0)
    return {
        "shared": shared,
        "u": [round(float(u), 5) for u in shared_values(_SHARED_VALUES).value] if shared or unfitted.number else [0],
        "rows": _log_odds(run.table, shared),
        "unfitted": _as_counted(unfitted),
        "others": {
            "presence": others["presence"].tolist(),
            "diameter": (scale * others["radius_px"]).tolist(),
            "flags": others["flags"].tolist(),
            "odds": _log_odds(others, shared),
        },
        "scale": scale,
        "sha256": digest_of(run.path, "droplets.csv"),
    }


def other_candidates(run: ResultFolder) -> pd.DataFrame:
    """The candidates that the table does not have; none where their file is missing or was altered."""
    names = ["id", "x_px", "y_px", "radius_px", "presence", "flags"]
    path = run.file("candidates.csv")
    if path is None or is_altered(run.path, path.name):
        return run.table.head(0)[names]
    try:
        table = pd.read_csv(path, dtype={"flags": str})[names].fillna({"flags": ""})
    except (ValueError, KeyError, OSError):
        return run.table.head(0)[names]
    return table[~table["id"].isin(run.table["id"])]


def unfitted_of(run: ResultFolder) -> Unfitted:
    """What beside the candidates may be droplets."""
    return Unfitted.of_dict(run.summary.get("unfitted"))


def _as_counted(unfitted: Unfitted) -> dict[str, float | int]:
    (odds,) = np.clip(central_log_odds([unfitted.presence], unfitted.shared_sd), -_SURE, _SURE)
    return {
        "number": unfitted.number,
        "presence": unfitted.presence,
        "shared": unfitted.shared_sd,
        "odds": round(float(odds), 5),
    }


def _log_odds(table: pd.DataFrame, shared: float) -> list[float]:
    odds = central_log_odds(table["presence"].to_numpy(np.float64).clip(0, 1), shared)
    return [round(float(value), 5) for value in np.clip(odds, -_SURE, _SURE)]
