"""Families of noise: what a pixel shows beside what the model says, of one scale or with tails or with the light."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyro.distributions as dist
from torch import Tensor


@dataclass(frozen=True)
class NormalNoise:
    """The same normal noise in all pixels."""

    def around(self, mean: Tensor, scale: float | Tensor) -> Any:
        """Distribution of pixels around their mean; the scale is the standard deviation."""
        return dist.Normal(mean, scale)

    def weights(self, residual: Any, light: Any, scale: float) -> Any:
        """What each pixel counts for, 1 for all."""
        return residual * 0 + 1

    def whitened(self, residual: Any, light: Any, scale: float) -> Any:
        """Residual over each pixel's noise, of variance 1 where the family is right."""
        return residual / scale

    def typical(self, light: Any, scale: float) -> float:
        """Standard deviation of a usual pixel's noise."""
        return scale

    def __str__(self) -> str:
        return "normal"


@dataclass(frozen=True)
class StudentNoise:
    """Noise with tails: Student's t, for images with pixels that are far off, as hot ones or the hits of cosmic rays.

    Attributes:
        df: degrees of freedom, positive: at 1 tails that have no mean, from about 30 on a normal distribution.
    """

    df: float = 4.0

    def __post_init__(self) -> None:
        _check("df", self.df, least=0.0)

    def around(self, mean: Tensor, scale: float | Tensor) -> Any:
        """Distribution of pixels around their mean; the scale is that of Student's t."""
        return dist.StudentT(mean.new_full((), self.df), mean, scale)

    def weights(self, residual: Any, light: Any, scale: float) -> Any:
        """What each pixel counts for: its expected precision as a mixture of normals, (df + 1) / (df + (e / scale)^2).

        See Lange, Little and Taylor, "Robust statistical modeling using the t distribution", JASA 84 (1989) 881.
        """
        return (self.df + 1) / (self.df + (residual / scale) ** 2)

    def whitened(self, residual: Any, light: Any, scale: float) -> Any:
        """Residual times its weight, the slope of the log density, of variance 1 where the family is right: what far
        off pixels say, which is little, and what a fit has made orthogonal to its derivatives.
        """
        weighed = self.weights(residual, light, scale) * residual / scale
        return weighed * math.sqrt((self.df + 3) / (self.df + 1))

    def typical(self, light: Any, scale: float) -> float:
        """Standard deviation of the normal noise in which as much would be known."""
        return scale * math.sqrt((self.df + 3) / (self.df + 1))

    def __str__(self) -> str:
        return f"student (df={self.df:g})"


@dataclass(frozen=True)
class CameraNoise:
    """Noise of a camera: variance = read^2 + gain (light - black), light above black only.

    The read noise is the scale of the noise in the model: ``error_scale`` in ``channel_fit``, and the site ``noise`` in
    ``measured``.

    Attributes:
        gain: units of the image an electron makes, positive: in an image that was divided by 65,535, the camera's
            gray levels an electron over 65,535.
        black: what the image shows without light, its offset in the same units.
    """

    gain: float
    black: float = 0.0

    def __post_init__(self) -> None:
        _check("gain", self.gain, least=0.0)
        _check("black", self.black)

    def variance(self, light: Any, scale: float | Tensor) -> Any:
        """Variance of pixels of this light; NumPy or torch."""
        return scale**2 + self.gain * (light - self.black).clip(0.0)

    def around(self, mean: Tensor, scale: float | Tensor) -> Any:
        """Distribution of pixels around their mean; the scale is the read noise."""
        return dist.Normal(mean, self.variance(mean, scale).sqrt())

    def weights(self, residual: Any, light: Any, scale: float) -> Any:
        """What each pixel counts for: one over its variance, in units of that of a pixel without light."""
        return scale**2 / self.variance(light, scale)

    def whitened(self, residual: Any, light: Any, scale: float) -> Any:
        """Residual over each pixel's noise, of variance 1 where the family is right."""
        return residual / self.variance(light, scale) ** 0.5

    def typical(self, light: Any, scale: float) -> float:
        """Standard deviation of the noise of the pixel of median variance; the light as an array of NumPy."""
        return math.sqrt(float(np.median(self.variance(light, scale))))

    def __str__(self) -> str:
        return f"camera (gain={self.gain:g}, black={self.black:g})"


NoiseFamily = NormalNoise | StudentNoise | CameraNoise
NORMAL = NormalNoise()
_NAMED: dict[str, type[NormalNoise | StudentNoise | CameraNoise]] = {
    "normal": NormalNoise,
    "student": StudentNoise,
    "camera": CameraNoise,
}


def noise_family(given: object) -> NoiseFamily:
    """The family of a name, or itself.

    Raises:
        ValueError: another name, or a camera without its gain.
    """
    if isinstance(given, NormalNoise | StudentNoise | CameraNoise):
        return given
    if given == "camera":
        raise ValueError(
            "noise is 'camera' without its gain; give pyrodrop.models.CameraNoise(gain=...), in units of the image an "
            "electron"
        )
    if not isinstance(given, str) or given not in _NAMED:
        raise ValueError(
            f"noise is {given!r:.80}, expected 'normal', 'student', or pyrodrop.models.StudentNoise(df=...) or "
            "CameraNoise(gain=...)"
        )
    family: NoiseFamily = NORMAL if given == "normal" else StudentNoise()
    return family


def noise_as_dict(family: NoiseFamily) -> dict[str, str | float]:
    """A family as words and numbers, for files."""
    name = next(name for name, kind in _NAMED.items() if isinstance(family, kind))
    return {"family": name, **vars(family)}


def noise_of_dict(stored: dict[str, Any]) -> NoiseFamily:
    """What ``noise_as_dict`` made.

    Raises:
        ValueError: it has not.
    """
    try:
        kind = _NAMED[stored["family"]]
        family: NoiseFamily = kind(**{name: value for name, value in stored.items() if name != "family"})
    except (KeyError, TypeError) as error:
        raise ValueError("no family of noise") from error
    return family


def _check(name: str, value: object, least: float = -math.inf) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least < value < math.inf:
        raise ValueError(f"{name} is {value!r:.80}, expected a {'positive ' if least == 0.0 else ''}finite number")
