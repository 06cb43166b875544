"""All profiles by name: those of the package, those that a session registers, and those of installed packages.

A package that is installed can bring profiles of its own, known to every process and to the command line, by an entry
point of the group ``pyrodrop.profiles`` that names a ``Profile``.
"""

from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import entry_points
from types import MappingProxyType

import torch

from pyrodrop.rendering.profiles.disc import DISC
from pyrodrop.rendering.profiles.gaussian import GAUSSIAN
from pyrodrop.rendering.profiles.profile import Profile
from pyrodrop.rendering.profiles.radial import RADIAL
from pyrodrop.rendering.profiles.rimmed import RIMMED

ENTRY_POINTS = "pyrodrop.profiles"
_OWN = (GAUSSIAN, DISC, RADIAL, RIMMED)
_profiles = {profile.name: profile for profile in _OWN}
PROFILES: Mapping[str, Profile] = MappingProxyType(_profiles)


def register(profile: Profile) -> Profile:
    """Make a profile known by its name, in ``render``, ``measure``, files and on the command line of this process.

    Raises:
        ValueError: another profile has that name, or its height is not one number for each squared distance.
    """
    if profile.name in _profiles and _profiles[profile.name] is not profile:
        raise ValueError(f"there is a profile {profile.name!r} already: choose another name, or unregister it first.")
    if profile.name == "auto":
        raise ValueError("the name 'auto' means that measure chooses the profile: choose another name.")
    _check_height(profile)
    _profiles[profile.name] = profile
    return profile


def unregister(name: str) -> None:
    """Forget a profile that was registered; nothing happens if it is not known.

    Raises:
        ValueError: it is one of the package's own.
    """
    if name in [profile.name for profile in _OWN]:
        raise ValueError(f"profile {name!r} is one of the package's own: it stays.")
    _profiles.pop(name, None)


def profile_named(name: str) -> Profile:
    """The profile of that name.

    Raises:
        ValueError: there is none.
    """
    if name not in _profiles:
        _register_installed()
    if name not in _profiles:
        raise ValueError(f"profile {name!r} is unknown: choose one of {', '.join(_profiles)}, or register it first.")
    return _profiles[name]


def automatic_profiles() -> tuple[str, ...]:
    """Names of the profiles that ``measure`` tries when none is named."""
    return tuple(name for name, profile in _profiles.items() if profile.automatic)


@lru_cache(maxsize=1)
def _register_installed() -> None:
    """Register what installed packages bring; once, for it takes a while to look for them."""
    for point in entry_points(group=ENTRY_POINTS):
        if point.name not in _profiles:
            register(point.load())


def _check_height(profile: Profile) -> None:
    squared = torch.linspace(0, 4, 6, dtype=torch.float64).reshape(2, 3)
    shape = torch.from_numpy(profile.initial_shape)
    heights = profile.height(squared, squared.new_tensor([[3.0], [5.0]]), shape)
    if heights.shape != squared.shape or heights.dtype != squared.dtype or not bool(heights.isfinite().all()):
        raise ValueError(
            f"the height of profile {profile.name!r} at squared distances of shape (2, 3), radii (2, 1) and shape "
            f"({profile.size},), all float64, is {heights.dtype} of shape {tuple(heights.shape)}: expected finite "
            "numbers of the same type, one for each squared distance."
        )
