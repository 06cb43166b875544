"""What is raised when an image, a channel or a number about it cannot be used."""

import math
from typing import Any


class ImageError(ValueError):
    """An image that cannot be read or used: one line on what was given, what was expected, what to do."""


def positive_number(name: str, given: Any, example: str) -> float:
    """What was given as a number.

    Args:
        name: what it is, for the message.
        given: by a caller: anything.
        example: of what may be given, for the message.

    Raises:
        ImageError: it is no number, or not positive and finite.
    """
    try:
        number = float(given)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise ImageError(f"{name} is {given!r}: give a positive number, for example {example}.")
    return number
