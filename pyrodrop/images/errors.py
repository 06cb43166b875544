"""What is raised when an image, a channel or a number about it cannot be used."""

import math
from typing import Any


class ImageError(ValueError):
    """An image that cannot be read or used: one line on what was given, what was expected, what to do."""


def positive_number(name: str, value: Any, example: str) -> float:
    """A value as a positive, finite number.

    Args:
        name: what it is, for the message.
        value: what a caller gave: anything.
        example: of what may be given, for the message.

    Raises:
        ImageError: it is no number, or not positive and finite.
    """
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise ImageError(f"{name} is {value!r}: give a positive number, for example {example}.")
    return number
