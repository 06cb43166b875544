"""What a page of results begins with: how many droplets, how large, how well the model fits, and warnings."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from pyrodrop.results.page.method_text import TOO_LARGE, number_of
from pyrodrop.results.page.number_format import decimals_for, digits, parts_of, show, with_interval
from pyrodrop.results.storage.result_folder import ResultFolder


class Fact(NamedTuple):
    """A number that a page begins with."""

    label: str
    value: str
    unit: str = ""
    interval: str = ""
    note: str = ""


def facts(run: ResultFolder) -> list[Fact]:
    """The numbers that the page begins with: how many, how large, how well the model fits."""
    headline = [count_fact(run), median_fact(run)]
    sauter = sizes_of(run).get("d_3_2")
    if parts_of(sauter) is not None:
        estimate = with_interval(sauter)
        headline.append(
            Fact("Sauter mean diameter", estimate.value, unit_of(run), estimate.interval, "volume over surface")
        )
    reduced = run.summary.get("reduced_chi_square")
    values = [v for v in (reduced if isinstance(reduced, list) else [reduced]) if isinstance(v, int | float)]
    if values:
        shown_values = ", ".join(digits(float(value)) for value in values)
        headline.append(Fact("Reduced chi-square", shown_values, note="1 where the model leaves only noise"))
    return headline


def count_fact(run: ResultFolder) -> Fact:
    """How many droplets: counted with an interval, or as many as the fit was given."""
    if parts_of(run.summary.get("count")) is not None:
        estimate = with_interval(run.summary["count"])
        return Fact("Droplets", number_of(run), interval=estimate.interval)
    note = "rows of a table that was altered" if run.table_altered else "as many as the fit was given or started with"
    return Fact("Droplets", show(float(len(run.table)), 0), note=note)


def median_fact(run: ResultFolder) -> Fact:
    """Median diameter by number, with its interval where the sizes were measured."""
    median = sizes_of(run).get("dn50")
    if parts_of(median) is not None:
        estimate = with_interval(median)
        return Fact("Median diameter", estimate.value, unit_of(run), estimate.interval, "by number")
    value = 2 * float(run.table["radius_px"].median()) * (run.pixel_size_um or 1.0)
    note = "of the droplets in the table, without an interval"
    return Fact("Median diameter", show(value, decimals_for(None, value)), unit_of(run), note=note)


def trust(run: ResultFolder) -> Mapping[str, Any] | None:
    """How far the result is to be trusted, ``level`` and ``sentence``; None where nobody has asked, or of a table that
    was altered since.
    """
    stated = run.summary.get("trust")
    known = isinstance(stated, dict) and {"level", "sentence"} <= stated.keys()
    return stated if known and not run.table_altered else None


def warnings(run: ResultFolder) -> list[str] | None:
    """What to be wary of; None where nobody has looked."""
    stated = run.summary.get("warnings")
    lines = [str(line) for line in stated] + _misfit(run, stated) if isinstance(stated, list) else None
    if run.summary.get("converged") is False:
        return [*(lines or []), "the loss had not stopped falling when the steps were over: resume the fit for more"]
    return lines


def _misfit(run: ResultFolder, stated: list[Any]) -> list[str]:
    """That the model plainly does not fit, where nobody has said so, as of an image in tiles."""
    reduced = run.summary.get("reduced_chi_square")
    if (
        not isinstance(reduced, int | float)
        or reduced <= TOO_LARGE
        or any("chi-square" in str(line) for line in stated)
    ):
        return []
    return [
        f"the residual is {digits(reduced**0.5, 2)} times the noise (reduced chi-square {digits(reduced)}): "
        "droplets or background are not as the model says; intervals may be too narrow"
    ]


def sizes_of(run: ResultFolder) -> Mapping[str, Any]:
    """The statistics of the size distribution by name; empty where they were not measured."""
    sizes = run.summary.get("sizes")
    return sizes if isinstance(sizes, dict) else {}


def unit_of(run: ResultFolder) -> str:
    """Unit of a length as a person reads it."""
    return "µm" if run.pixel_size_um else "px"
