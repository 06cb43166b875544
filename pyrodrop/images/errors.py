"""What is raised when an image, a channel or a number about it cannot be used."""

import math
from typing import Any


class ImageError(ValueError):
    """An image that cannot be read or used: one line on what was given, what was expected, what to do.

    Attributes:
        settings: the arguments that the message names, as Python has them; the command line says its flags instead.
    """

    def __init__(self, message: str, *settings: str) -> None:
        super().__init__(message)
        self.settings = settings


def positive_number(name: str, value: Any, example: str) -> float:
    """A value as a positive, finite number.

    Args:
        name: of the argument, for the message.
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
        raise ImageError(f"{name} is {value!r}: give a positive number, for example {example}.", name)
    return number
