"""What a caller may ask for, checked at the door: numbers in their ranges, a choice, a device."""

import math
from numbers import Integral, Real
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

# Of droplets, steps or draws nobody means more: it is a slip of the hand, and would fill the memory or never end.
MOST = 10_000_000
# Kinds of devices that torch may compute on.
DEVICES = ("cpu", "cuda")


class SettingError(ValueError):
    """A setting out of its range; the message says what was given, what was expected and what to do.

    Attributes:
        settings: the arguments that the message names, as Python has them; the command line says its flags instead.
    """

    def __init__(self, message: str, *settings: str) -> None:
        super().__init__(message)
        self.settings = settings


def positive_whole(name: str, value: object, most: int = MOST) -> int:
    """The value as an int from 1 to ``most``."""
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < 1:
        raise SettingError(f"{name} is {_shown(value)}, expected a whole number of at least 1", name)
    if int(value) > most:
        raise SettingError(f"{name} is {_shown(value)}, expected a whole number from 1 to {most}", name)
    return int(value)


def _shown(value: object) -> str:
    """The value in a few characters; Python refuses to write out numbers of thousands of digits."""
    if isinstance(value, int) and value.bit_length() > 256:
        return f"a number of {int(value.bit_length() * math.log10(2)):,} digits"
    return repr(value)


def whole(name: str, value: object) -> int:
    """The value as an int of at least 0 and below 2 to the power of 63, what a seed may be."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not 0 <= int(value) < 2**63:
        raise SettingError(f"{name} is {_shown(value)}, expected a whole number from 0 to {2**63 - 1}", name)
    return int(value)


def positive(name: str, value: object) -> float:
    """The value as a positive finite float."""
    try:
        number = math.nan if isinstance(value, bool) or not isinstance(value, Real) else float(value)
    except OverflowError:  # a whole number that no float can hold
        number = math.inf
    if not 0 < number < math.inf:
        raise SettingError(f"{name} is {_shown(value)}, expected a positive finite number", name)
    return number


def one_of(name: str, value: str, choices: tuple[str, ...]) -> str:
    """The value, if it is one of the choices."""
    if value not in choices:
        raise SettingError(f"{name} is {value!r}, expected one of {', '.join(choices)}", name)
    return value


def profiles_to_try(profile: str) -> tuple[str, ...]:
    """The profiles that a measurement chooses from: that of this name, or for "auto" those that are tried unasked."""
    from pyrodrop.rendering.profiles import PROFILES, automatic_profiles, profile_named  # these take torch's seconds

    if profile == "auto":
        return automatic_profiles()
    try:
        return (profile_named(profile).name,)
    except ValueError:
        raise SettingError(
            f"profile is {profile!r}, expected one of {', '.join(('auto', *PROFILES))}", "profile"
        ) from None


def pick_device(name: str) -> "torch.device":
    """The device of that name; "auto" takes CUDA where there is one.

    Raises:
        SettingError: for CUDA on a machine without, and for a name that torch does not know.
    """
    import torch  # takes seconds, which whoever only needs the errors above is spared

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise SettingError(f"device is {name!r}, expected auto, cpu or cuda", "device") from error
    if device.type not in DEVICES:
        raise SettingError(f"device is {name!r}, expected auto, cpu or cuda", "device")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SettingError(f"device is {name!r}, but torch sees no CUDA device here; take cpu or auto", "device")
    return device


def device_name(device: str) -> str:
    """What a summary calls a device: with the name of the GPU, where it is one."""
    import torch

    return f"{device} ({torch.cuda.get_device_name(device)})" if device.startswith("cuda") else device


def input_errors() -> tuple[type[Exception], ...]:
    """The errors whose message is all that a person needs: something was wrong with what was given."""
    from pyrodrop.images import ImageError
    from pyrodrop.results.storage.checkpoint import CheckpointError

    return ImageError, CheckpointError, SettingError
