"""What the network alone counts in the channels that were not measured, as rows of a page."""

from collections.abc import Mapping

from pyrodrop.results.storage.result_folder import ResultFolder


def channel_rows(run: ResultFolder) -> list[dict[str, str]]:
    """A row for each other channel, those with most droplets first; none where nobody has looked at others."""
    stated = run.summary.get("other_channels")
    counts: list[tuple[int, int, int, str]] = []
    for name, count in stated.items() if isinstance(stated, Mapping) else ():
        parts = [count.get(part) for part in ("median", "q05", "q95")] if isinstance(count, Mapping) else []
        numbers = [part for part in parts if isinstance(part, int)]
        if len(numbers) == 3:
            counts.append((numbers[0], numbers[1], numbers[2], str(name)))
    rows = sorted(counts, key=lambda row: -row[0])
    return [{"channel": name, "count": f"{n}", "interval": f"{low} to {high}"} for n, low, high, name in rows]
