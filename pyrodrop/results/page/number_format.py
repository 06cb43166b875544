"""Numbers as a person reads them: with as many digits as the interval deserves."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

# What stands for a number that is not known.
UNKNOWN = "–"


class Shown(NamedTuple):
    """A number and its interval in words; ``interval`` is empty where there is none."""

    value: str
    interval: str = ""


def decimals_for(spread: float | None, value: float | None = None, significant: int = 2) -> int:
    """Decimals that show so many significant digits of a spread; of the value, four, where there is no spread."""
    if spread is not None and math.isfinite(spread) and spread > 0:
        return min(max(significant - 1 - math.floor(math.log10(spread)), 0), 9)
    if value is not None and math.isfinite(value) and value != 0:
        return min(max(3 - math.floor(math.log10(abs(value))), 0), 9)
    return 2


def show(value: float | None, decimals: int) -> str:
    """A number with so many decimals, or a dash where it is not known."""
    return UNKNOWN if value is None or not math.isfinite(value) else f"{value:,.{decimals}f}".replace(",", "\u202f")


def with_interval(estimate: object) -> Shown:
    """``mean``, ``q05`` and ``q95`` of a mapping, as ``summary.json`` has them."""
    parts = parts_of(estimate)
    if parts is None:
        return Shown(UNKNOWN)
    mean, low, high = parts
    if low is None or high is None:
        return Shown(show(mean, decimals_for(None, mean)))
    decimals = decimals_for(high - low, mean)
    if low == high and round(mean, 1) == low:  # a count that is certain
        decimals = 0
    ends = 0 if float(low).is_integer() and float(high).is_integer() else decimals
    return Shown(show(mean, min(decimals, 1) if ends == 0 else decimals), f"{show(low, ends)} to {show(high, ends)}")


def digits(value: float, significant: int = 3) -> str:
    """A number with so many significant digits, and no exponent: below 5e-10 it is 0."""
    if abs(value) < 5e-10:
        return "0"
    size = math.floor(math.log10(abs(value))) if math.isfinite(value) and value != 0 else 0
    return show(value, min(max(significant - 1 - size, 0), 9))


def parts_of(estimate: object) -> tuple[float, float | None, float | None] | None:
    """Mean, 5 % and 95 % quantile of a mapping; None where it holds no number called mean."""
    if not isinstance(estimate, Mapping) or not _number(estimate.get("mean")):
        return None
    low, high = (estimate[name] if _number(estimate.get(name)) else None for name in ("q05", "q95"))
    return float(estimate["mean"]), low, high


def in_words(value: Any) -> str:
    """Any JSON value for a person to read."""
    if value is None:
        return "not known"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return ", ".join(in_words(item) for item in value) if value else "none"
    return str(value)


def flattened(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Names and values in words; what is nested becomes ``outer.inner``."""
    rows: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            rows += flattened(value, f"{prefix}{name}.")
        else:
            rows.append((f"{prefix}{name}", in_words(value)))
    return rows


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
