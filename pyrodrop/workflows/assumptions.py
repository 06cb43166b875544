"""What a caller assumes in the place of a model's own priors and noise: checked at the door, and as files hold it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pyrodrop.workflows.settings import SettingError

if TYPE_CHECKING:  # these take Pyro's seconds, which the command line is spared
    from pyrodrop.models.assumed.noise_families import NoiseFamily
    from pyrodrop.models.assumed.site_priors import GivenPriors, Room, SitePrior


# Families whose log density is straight but at one value, where it has no slope.
_WITH_KINKS = ("Laplace", "AsymmetricLaplace")


def checked_noise(given: object) -> "NoiseFamily | None":
    """The family of noise of a name, or itself; None for the normal one, which is the models' own.

    Raises:
        SettingError: there is no such family.
    """
    if given is None:
        return None
    from pyrodrop.models.assumed.noise_families import NORMAL, noise_family, noise_of_dict

    try:
        family = noise_of_dict(given) if isinstance(given, dict) else noise_family(given)
    except ValueError as error:
        raise SettingError(str(error), "noise") from error
    return None if family == NORMAL else family


def checked_priors(
    given: "GivenPriors", sites: Mapping[str, "Room"], usual: Sequence["SitePrior"] = ()
) -> "tuple[SitePrior, ...]":
    """The priors of some sites, without those that they have anyway; given as for a model, or in ``plain`` words.

    Raises:
        SettingError: as for ``models.assumed.site_priors.site_priors``.
    """
    from pyrodrop.models.assumed.site_priors import site_priors

    try:
        if isinstance(given, list) and all(isinstance(each, dict) for each in given):
            given = assumptions_of_dict({"priors": given})[0]
        return site_priors(given, sites, usual)
    except (ValueError, TypeError) as error:
        raise SettingError(str(error), "priors") from error


def assumed_in_measure(
    profiles: Sequence[str], priors: Mapping[str, Any] | None, noise: object
) -> "tuple[tuple[SitePrior, ...], NoiseFamily]":
    """The priors and the noise that a caller assumes of an image to be measured, as the joint fit takes them.

    Args:
        profiles: those that are tried, whose sites may have priors.
        priors, noise: as for ``measure``.

    Raises:
        SettingError: sites that the model has not, or that the joint fit takes no other prior of; supports that are not
            all that a site can be; and a noise that there is not.
    """
    from pyrodrop.models.assumed.noise_families import NORMAL
    from pyrodrop.models.assumed.site_priors import POSITIVE
    from pyrodrop.models.multichannel_fit import sites_of_measured

    family = checked_noise(noise) or NORMAL
    rooms = {site: room for name in profiles for site, room in sites_of_measured(name).items() if site not in "xy"}
    if isinstance(priors, Mapping) and (placed := sorted({"x", "y"} & priors.keys())):
        raise SettingError(
            f"priors name {', '.join(map(repr, placed))}: centres are uniform over what is seen in measure; give a "
            f"mask, or priors of {', '.join(rooms)}",
            "priors",
        )
    checked = checked_priors(priors, rooms)
    for prior in checked:
        if prior.family in _WITH_KINKS:
            raise SettingError(
                f"the prior of {prior.site!r} is {prior}, whose density has a kink, which the steps of measure get "
                "stuck at; give a smooth one, as StudentT or SoftLaplace",
                "priors",
            )
        if prior.support != rooms[prior.site]:
            positive, (low, high) = rooms[prior.site] == POSITIVE, prior.support
            raise SettingError(
                f"the prior of {prior.site!r} is {prior}, from {low:g} to {high:g}; measure takes one of "
                + ("all positive numbers, as LogNormal or Gamma" if positive else "either sign, as Normal or StudentT")
                + ", and has radius_px and polarity for limits",
                "priors",
            )
    return checked, family


def check_channels(family: "NoiseFamily", channels: int) -> None:
    """Refuse several channels for noise that is not normal, whose pixels count for the same in all of them.

    Raises:
        SettingError: more than one.
    """
    if channels > 1 and str(family) != "normal":
        raise SettingError(
            f"noise is {family}, which is fitted in one channel, and the image has {channels}; give one of them, as "
            "image.channel('gray')",
            "noise",
        )


def in_plain_words(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a job with its priors and its noise, if it has any, as words and numbers: for keys and files.

    Raises:
        SettingError: what is no distribution of one number, or no noise.
    """
    plain = dict(settings)
    if isinstance(settings.get("priors"), Mapping):
        from pyrodrop.models.assumed.site_priors import prior_of

        try:
            made = [prior_of(str(site), settings["priors"][site]) for site in sorted(settings["priors"])]
        except ValueError as error:
            raise SettingError(str(error), "priors") from error
        plain["priors"] = assumptions_as_dict(made, None).get("priors", [])
    if "noise" in settings:
        family = checked_noise(settings["noise"])
        plain["noise"] = "normal" if family is None else assumptions_as_dict((), family)["noise_family"]
    return plain


def assumptions_as_dict(priors: "Sequence[SitePrior]", noise: "NoiseFamily | None") -> dict[str, Any]:
    """Both as words and numbers, for files; nothing of what is the models' own."""
    from pyrodrop.models.assumed.noise_families import NORMAL, noise_as_dict

    stored: dict[str, Any] = {}
    if priors:
        stored["priors"] = [
            {"site": each.site, "family": each.family, "parameters": dict(each.parameters)} for each in priors
        ]
    if noise is not None and noise != NORMAL:
        stored["noise_family"] = noise_as_dict(noise)
    return stored


def assumptions_of_dict(stored: Mapping[str, Any]) -> "tuple[tuple[SitePrior, ...], NoiseFamily | None]":
    """What ``assumptions_as_dict`` made.

    Raises:
        ValueError: it has not.
    """
    from pyrodrop.models.assumed.noise_families import noise_of_dict

    priors, noise = stored.get("priors", []), stored.get("noise_family")
    if not isinstance(priors, list) or not (noise is None or isinstance(noise, dict)):
        raise ValueError("no priors or no noise")
    made = []
    for each in priors:
        if not isinstance(each, dict) or each.keys() != {"site", "family", "parameters"}:
            raise ValueError("no priors")
        parameters = each["parameters"]
        if not isinstance(parameters, dict) or not all(isinstance(value, float) for value in parameters.values()):
            raise ValueError("no parameters of a prior")
        made.append(_prior_of_words(each["site"], each["family"], parameters))
    return tuple(made), None if noise is None else noise_of_dict(noise)


def assumptions_in_words(priors: "Sequence[SitePrior]", noise: "NoiseFamily | None") -> dict[str, Any]:
    """Both as a summary says them; nothing of what is the models' own."""
    said: dict[str, Any] = {"priors": {each.site: str(each) for each in priors}} if priors else {}
    return said if noise is None or str(noise) == "normal" else said | {"noise_family": str(noise)}


def _prior_of_words(site: object, family: object, parameters: Mapping[str, float]) -> "SitePrior":
    """The prior that words and numbers make up, or ``ValueError``."""
    import pyro.distributions as dist
    import torch

    from pyrodrop.models.assumed.site_priors import prior_of

    kind = getattr(dist, family, None) if isinstance(family, str) else None
    if not (isinstance(site, str) and isinstance(kind, type) and issubclass(kind, torch.distributions.Distribution)):
        raise ValueError("no family of a prior")
    numbers: dict[str, Any] = {name: torch.tensor(value, dtype=torch.float64) for name, value in parameters.items()}
    try:
        return prior_of(site, kind(**numbers, validate_args=True))
    except (TypeError, AttributeError, NotImplementedError) as error:
        raise ValueError("no family of a prior") from error
