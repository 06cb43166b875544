"""How the height of a droplet falls from its centre: one profile a file, each a frozen object, all in one registry.

A new profile is a file with a function in torch and a ``Profile`` that is registered; nothing else need change.
"""

from pyrodrop.rendering.profiles.profile import CompiledProfile, Profile, ShapeParameter
from pyrodrop.rendering.profiles.registry import PROFILES, automatic_profiles, profile_named, register, unregister

__all__ = [
    "PROFILES",
    "CompiledProfile",
    "Profile",
    "ShapeParameter",
    "automatic_profiles",
    "profile_named",
    "register",
    "unregister",
]
