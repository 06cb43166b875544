"""The droplet table as the page shows it: diameters, decimals that are worth showing, circles."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from markupsafe import Markup

from pyrodrop.results.page.number_format import UNKNOWN, decimals_for
from pyrodrop.results.statistics.counts import LIKELY

# Rows that are in the page itself; a script shows the others, so many at a time.
FIRST_ROWS = 100
_DIGITS = 6


class Column(NamedTuple):
    """A column of the page's table.

    Attributes:
        name: as in files.
        label: as a person reads it.
        unit: empty where there is none.
        meaning: one sentence.
        decimals: how many to show; None for words.
        values: one a row, None where not known.
    """

    name: str
    label: str
    unit: str
    meaning: str
    decimals: int | None
    values: list[Any]


def page_columns(table: pd.DataFrame, pixel_size_um: float | None) -> list[Column]:
    """The columns of the page's table; lengths of a droplet in micrometres where the size of a pixel is known."""
    unit, scale = ("px", 1.0) if pixel_size_um is None else ("µm", pixel_size_um)
    ids = Column("id", "id", "", "number of the droplet", 0, table["id"].astype(int).tolist())
    columns = [ids]

    def add(source: str, name: str, label: str, unit: str, meaning: str, factor: float = 1.0) -> None:
        if source in table:
            values = factor * table[source].to_numpy(dtype=np.float64)
            spread = factor * table[f"{base}_sd"].to_numpy(dtype=np.float64) if f"{base}_sd" in table else values * 0
            columns.append(Column(name, label, unit, meaning, _decimals(spread, values), _rounded(values)))

    base = "radius_px"
    add(base, "diameter", "diameter", unit, "twice the radius, posterior mean", 2 * scale)
    add(f"{base}_q05", "diameter_q05", "5 %", unit, "the diameter is below this with 5 %", 2 * scale)
    add(f"{base}_q95", "diameter_q95", "95 %", unit, "the diameter is below this with 95 %", 2 * scale)
    for base, label in (("x_px", "x"), ("y_px", "y")):
        add(base, label, label, "px", f"{label} of the centre, posterior mean")
    base = "amplitude"
    add(base, base, base, "", "height above the background, posterior mean")
    presence = _rounded(table["presence"].to_numpy(dtype=np.float64))
    columns.append(Column("presence", "presence", "", "probability that the droplet is there", 3, presence))
    columns.append(Column("flags", "flags", "", "what to be wary of", None, table["flags"].tolist()))
    return columns


def first_rows(columns: list[Column], rows: int = FIRST_ROWS) -> list[list[str]]:
    """The first rows as text."""
    return [list(row) for row in zip(*([_text(c, v) for v in c.values[:rows]] for c in columns), strict=True)]


def circles(table: pd.DataFrame) -> Markup:
    """An SVG circle for each row, in order, of a class for what is to be said of it."""
    drawn = []
    for x, y, radius, presence, flags in zip(
        *(table[name] for name in ("x_px", "y_px", "radius_px", "presence", "flags")), strict=True
    ):
        kind = kind_of(presence, flags)
        look = f' class="{kind}"' if kind else ""
        # Numbers only: nothing here needs to be escaped.
        drawn.append(f'<circle{look} cx="{x:.6g}" cy="{y:.6g}" r="{max(radius, 0):.5g}"/>')
    return Markup("\n".join(drawn))


def kind_of(presence: float, flags: str) -> str:
    """How a circle is drawn: "doubtful", "flagged" or plain."""
    return "doubtful" if not presence >= LIKELY else "flagged" if flags else ""


KINDS = {"": "droplet", "flagged": "droplet with a flag", "doubtful": "rather not a droplet: presence below one half"}


def flag_counts(table: pd.DataFrame) -> list[tuple[str, int]]:
    """The flags in the table and how many droplets have each, the most frequent first."""
    counted = table["flags"].str.split().explode().dropna().value_counts()
    return [(str(name), int(number)) for name, number in counted.items()]


def _decimals(spread: Any, values: Any) -> int:
    known = spread[np.isfinite(spread) & (spread > 0)]
    typical = np.abs(values[np.isfinite(values)])
    middle = float(np.median(known)) if len(known) else None
    return min(decimals_for(middle, float(np.median(typical)) if len(typical) else None), 4)


def _rounded(values: Any) -> list[float | None]:
    return [float(f"{value:.{_DIGITS}g}") if np.isfinite(value) else None for value in values]


def _text(column: Column, value: Any) -> str:
    if value is None:
        return UNKNOWN
    return str(value) if column.decimals is None else f"{value:.{column.decimals}f}"
