"""What a measurement says of itself in a line or two, as ``print`` and notebooks show it."""

from typing import TYPE_CHECKING

from pyrodrop.results.page.number_format import with_interval

if TYPE_CHECKING:
    from pyrodrop.workflows.measuring.measurement import Measurement


def facts_of(measurement: "Measurement") -> dict[str, str]:
    """By name: image, profile, number of droplets and median diameter, the last two with their intervals."""
    height, width = measurement.size
    unit = "px" if measurement.pixel_size_um is None else "µm"
    facts: dict[str, str] = {"image": f"{width} × {height} px", "profile": measurement.profile}
    low, high = (measurement.count.quantile(level) for level in (0.05, 0.95))
    facts["droplets"] = f"{measurement.n_droplets}" + (f" ({low} to {high})" if low < high else "")
    median = with_interval(measurement.sizes["dn50"]._asdict())
    facts["median diameter"] = f"{median.value} {unit}" + (f" ({median.interval})" if median.interval else "")
    return facts


def in_two_lines(measurement: "Measurement") -> str:
    """The facts, and how many warnings there are."""
    facts = facts_of(measurement)
    doubts = f"{len(measurement.warnings)} warnings, see .warnings" if measurement.warnings else "no warnings"
    return (
        f"Measurement: {facts['droplets']} droplets, median diameter {facts['median diameter']}\n"
        f"  of {facts['image']}, profile {measurement.profile}; {doubts}"
    )
