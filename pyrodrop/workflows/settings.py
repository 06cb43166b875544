"""What a caller may ask for, checked at the door."""

import math
from numbers import Integral, Real

import torch


class SettingError(ValueError):
    """A setting out of its range; the message says what was given, what was expected and what to do."""


def positive_whole(name: str, value: object) -> int:
    """The value as an int of at least 1."""
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < 1:
        raise SettingError(f"{name} is {value!r}, expected a whole number of at least 1")
    return int(value)


def whole(name: str, value: object) -> int:
    """The value as an int of at least 0 and below 2 to the power of 63, what a seed may be."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not 0 <= int(value) < 2**63:
        raise SettingError(f"{name} is {value!r}, expected a whole number from 0 to {2**63 - 1}")
    return int(value)


def positive(name: str, value: object) -> float:
    """The value as a positive finite float."""
    if isinstance(value, bool) or not isinstance(value, Real) or not (0 < float(value) < math.inf):
        raise SettingError(f"{name} is {value!r}, expected a positive finite number")
    return float(value)


def one_of(name: str, value: str, choices: tuple[str, ...]) -> str:
    """The value, if it is one of the choices."""
    if value not in choices:
        raise SettingError(f"{name} is {value!r}, expected one of {', '.join(choices)}")
    return value


def pick_device(name: str) -> torch.device:
    """The device of that name; "auto" takes CUDA where there is one.

    Raises:
        SettingError: for CUDA on a machine without, and for a name that torch does not know.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise SettingError(f"device is {name!r}, expected auto, cpu or cuda") from error
    if device.type not in ("cpu", "cuda"):
        raise SettingError(f"device is {name!r}, expected auto, cpu or cuda")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SettingError(f"device is {name!r}, but torch sees no CUDA device here; use --device cpu or auto")
    return device


def input_errors() -> tuple[type[Exception], ...]:
    """The errors whose message is all that a person needs: something was wrong with what was given."""
    from pyrodrop.images import ImageError
    from pyrodrop.results.posterior import CheckpointError

    return ImageError, CheckpointError, SettingError
