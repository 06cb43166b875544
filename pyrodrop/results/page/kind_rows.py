"""The kinds of droplets as rows of a page: how many of each, how large, how bright."""

from typing import Any

from pyrodrop.results.page.number_format import digits, with_interval
from pyrodrop.results.storage.result_folder import ResultFolder


def kind_rows(run: ResultFolder) -> list[dict[str, str]]:
    """A row for each kind; none where nobody has looked for kinds, or the table was altered since."""
    stated = run.summary.get("kinds")
    if not isinstance(stated, list) or run.table_altered:
        return []
    return [_row(kind) for kind in stated if isinstance(kind, dict)]


def _row(kind: dict[str, Any]) -> dict[str, str]:
    sizes = kind.get("sizes")
    count = with_interval(kind.get("count"))
    median = with_interval(sizes.get("dn50") if isinstance(sizes, dict) else None)
    heights = kind.get("amplitude")
    numbers = [float(h) for h in (heights if isinstance(heights, list) else []) if isinstance(h, int | float)]
    return {
        "kind": str(kind.get("kind", "")),
        "count": count.value,
        "count_interval": count.interval,
        "median": median.value,
        "median_interval": median.interval,
        "amplitude": ", ".join(digits(number) for number in numbers),
    }
