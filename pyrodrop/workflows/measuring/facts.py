"""What a measurement says of itself in a few lines, as ``print`` and notebooks show it."""

from collections.abc import Mapping
from typing import Protocol

from pyrodrop.results.page.number_format import with_interval
from pyrodrop.results.statistics.counts import Count
from pyrodrop.results.statistics.sizes import Sizes


class Measured(Protocol):
    """What the facts are of: a measurement, as ``Measurement`` explains it."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in px."""

    @property
    def pixel_size_um(self) -> float | None:
        """Side of a pixel in micrometres, or None."""

    @property
    def profile(self) -> str:
        """The profile's name."""

    @property
    def count(self) -> Count:
        """Of the droplets."""

    @property
    def sizes(self) -> Sizes:
        """Of the droplets."""


def facts_of(measurement: Measured) -> dict[str, str]:
    """By name: image, profile, number of droplets and median diameter, the last two with their intervals."""
    height, width = measurement.size
    unit = "px" if measurement.pixel_size_um is None else "µm"
    facts: dict[str, str] = {"image": f"{width} × {height} px", "profile": measurement.profile}
    low, middle, high = (measurement.count.quantile(level) for level in (0.05, 0.5, 0.95))
    facts["droplets"] = f"{middle}" + (f" ({low} to {high})" if low < high else "")
    median = with_interval(measurement.sizes["dn50"]._asdict())
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
