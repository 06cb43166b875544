"""What a measurement says of itself in a few lines, as ``print`` and notebooks show it."""

from collections.abc import Mapping

from pyrodrop.results.page.number_format import with_interval
from pyrodrop.results.statistics.counts import Count
from pyrodrop.results.statistics.sizes import Sizes


def facts_of(
    size: tuple[int, int], profile: str, pixel_size_um: float | None, count: Count, sizes: Sizes
) -> dict[str, str]:
    """By name: image, profile, number of droplets and median diameter, the last two with their intervals.

    Args:
        size: height and width in px.
        profile: name of the profile.
        pixel_size_um: None where the sizes are in px.
        count, sizes: of the droplets.
    """
    height, width = size
    unit = "px" if pixel_size_um is None else "µm"
    facts: dict[str, str] = {"image": f"{width} × {height} px", "profile": profile}
    low, middle, high = (count.quantile(level) for level in (0.05, 0.5, 0.95))
    facts["droplets"] = f"{middle}" + (f" ({low} to {high})" if low < high else "")
    median = with_interval(sizes["dn50"]._asdict())
    facts["median diameter"] = f"{median.value} {unit}" + (f" ({median.interval})" if median.interval else "")
    return facts


def in_three_lines(facts: Mapping[str, str], trust: str, warnings: int) -> str:
    """The facts, how many warnings there are, and how far to trust it."""
    doubts = f"{warnings} warnings, see .warnings" if warnings else "no warnings"
    return (
        f"Measurement: {facts['droplets']} droplets, median diameter {facts['median diameter']}\n"
        f"  of {facts['image']}, profile {facts['profile']}; {doubts}\n"
        f"  {trust}"
    )
