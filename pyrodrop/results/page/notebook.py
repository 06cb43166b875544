"""What a notebook shows of results: the numbers, the image with its circles, and the first droplets."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import ArrayLike

from pyrodrop.results.page.embedded_pictures import encoded, with_circles
from pyrodrop.results.page.number_format import in_words

if TYPE_CHECKING:
    import pandas as pd

_LONGEST = 480
_ROWS = 5
_COLUMNS = ("id", "x_px", "y_px", "radius_px", "radius_px_sd", "amplitude", "presence", "flags")


def notebook_html(
    title: str,
    facts: Mapping[str, object],
    image: ArrayLike,
    table: "pd.DataFrame",
    warnings: tuple[str, ...] = (),
) -> str:
    """Results as HTML that needs nothing from outside and runs nothing.

    Args:
        title: one line.
        facts: numbers and words by name; all of it is escaped.
        image: what was fitted, (H, W).
        table: a droplet table.
        warnings: what to be wary of.
    """
    pixels = np.asarray(image, dtype=np.float32)
    picture = encoded(with_circles(pixels, table, _LONGEST))
    line = Markup(" &middot; ").join(
        Markup("{} <b>{}</b>").format(name, value if isinstance(value, str) else in_words(value))
        for name, value in facts.items()
    )
    warning_list = Markup("").join(Markup("<li>{}</li>").format(line) for line in warnings)
    first_rows = table[[name for name in _COLUMNS if name in table]].head(_ROWS)
    # pandas escapes the cells itself.
    html_table = Markup(first_rows.to_html(index=False, border=0, float_format=lambda value: f"{value:.4g}"))
    return str(
        Markup("<div><p><b>{}</b><br>{}</p>").format(title, line)
        + (Markup("<ul>{}</ul>").format(warning_list) if warnings else Markup(""))
        + Markup('<img src="{}" alt="{}" style="max-width:100%">').format(
            picture, f"the image with a circle around each of {len(table)} droplets"
        )
        + html_table
        + Markup("<p>{}</p></div>").format(escape(f"{min(len(table), _ROWS)} of {len(table)} droplets"))
    )
