"""The settings of a fit, with their defaults and ranges: ``fit``, its file and the command line read them here."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

from pyrodrop.workflows.assumptions import checked_noise, checked_priors
from pyrodrop.workflows.settings import SettingError, one_of, pick_device, positive, positive_whole, whole

if TYPE_CHECKING:
    from pyrodrop.models.assumed.noise_families import NoiseFamily
    from pyrodrop.models.assumed.site_priors import GivenPriors, SitePrior

# A number of droplets or of steps; as a string only "auto" is one.
Count = int | str

STARTS = ("peaks", "uniform")
# The post's number of iterations, which its start needs; and the most that steps="auto" takes.
POST_STEPS = 20_000
_MOST_RESTARTS = 1_000


@dataclass(frozen=True)
class FitSettings:
    """What a fit is asked for, with the defaults; ``fit`` says what each means.

    ``n_droplets`` is 0 where it was "auto", until the droplets are counted; ``priors`` are those that are not the
    model's own, and ``noise`` is None where it is normal.
    """

    n_droplets: int = 500
    error_scale: float = 0.05
    learning_rate: float = 0.01
    start: str = "peaks"
    seed: int = 0
    device: str = "auto"
    tolerance: float = 1e-4
    restarts: int = 1
    births: bool = True
    compiled: bool | None = None
    priors: "tuple[SitePrior, ...]" = ()
    noise: "NoiseFamily | None" = None


class RareSettings(TypedDict, total=False):
    """The settings that ``fit`` and ``fit_many`` take by keyword alone, since few need them."""

    tolerance: float
    restarts: int
    births: bool
    compiled: bool | None
    priors: "GivenPriors"
    noise: "str | NoiseFamily"


def fit_settings(n_droplets: Count = FitSettings.n_droplets, **given: Any) -> FitSettings:
    """The settings of a fit, checked.

    Args:
        n_droplets: at least 1, or "auto".
        given: the other fields of ``FitSettings``; the defaults hold for what is not given.

    Raises:
        SettingError: for one out of its range.
        TypeError: for one that there is not.
    """
    asked = FitSettings(0, **given)
    if n_droplets == "auto" and asked.start == "uniform":
        raise SettingError(
            "n_droplets is 'auto', which starts from the peaks; leave out start, or give a number",
            "n_droplets",
            "start",
        )
    return FitSettings(
        n_droplets=0 if n_droplets == "auto" else positive_whole("n_droplets", n_droplets),
        error_scale=_in_range("error_scale", positive("error_scale", asked.error_scale)),
        learning_rate=_in_range("learning_rate", positive("learning_rate", asked.learning_rate)),
        start=one_of("start", asked.start, STARTS),
        seed=whole("seed", asked.seed),
        device=str(pick_device(asked.device)),
        tolerance=positive("tolerance", asked.tolerance),
        restarts=positive_whole("restarts", asked.restarts, _MOST_RESTARTS),
        births=asked.births,
        compiled=asked.compiled,
        priors=_priors(asked.priors),
        noise=checked_noise(asked.noise),
    )


def _priors(given: "GivenPriors") -> "tuple[SitePrior, ...]":
    """Those of ``channel_fit`` that are not its own."""
    if given is None or given == ():
        return ()
    from pyrodrop.models.channel_fit import SITES, USUAL

    return checked_priors(given, SITES, USUAL)


def number_of_steps(steps: Count) -> int | None:
    """The number of steps asked for, at least 1; None for "auto"."""
    return None if steps == "auto" else positive_whole("steps", steps)


def usual_steps(start: str) -> Count:
    """The steps of a command that was given none: the post's start needs the post's 20,000, the peaks do not."""
    return POST_STEPS if start == "uniform" else "auto"


def _in_range(name: str, value: float) -> float:
    """The value, if squares of it are numbers of single precision."""
    if not 1e-9 <= value <= 1e9:
        raise SettingError(f"{name} is {value!r}, expected a number from 1e-09 to 1e+09", name)
    return value
