"""A channel of saturation as a colour photograph: half-moon droplets of several hues on a gray-green ground.

Only the look is made here. The saturation of every pixel is given, and kept: hue and value are painted to it.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

# The rim of a droplet lies at this many Gaussian radii, where its saturation has fallen to a third.
DISC = 1.5


class Palette(NamedTuple):
    """How the hue of a droplet runs from top to bottom, and how bright its ends are against the ground."""

    name: str
    share: float
    top_hue: float
    bottom_hue: float
    sharpness: float
    top_value: float
    bottom_value: float


# Seen in the photograph of the post: light enters from below, and a droplet disperses it.
PALETTES = (
    Palette("teal", 0.30, 0.68, 0.44, 1.2, 0.74, 0.98),
    Palette("blue", 0.15, 0.68, 0.56, 1.0, 0.78, 0.90),
    Palette("yellow", 0.20, 0.70, 0.17, 6.0, 0.80, 1.14),
    Palette("red", 0.22, 0.74, 1.04, 1.6, 0.80, 1.16),
    Palette("purple", 0.13, 0.72, 0.84, 1.2, 0.72, 0.92),
)
GROUND_HUE = 0.19
GROUND_VALUE = 0.66


def choose_palettes(n_droplets: int, generator: torch.Generator) -> Int64[Tensor, " n"]:
    """Index into ``PALETTES`` for each droplet, shape (n_droplets,), drawn by their shares."""
    shares = torch.tensor([palette.share for palette in PALETTES])
    if n_droplets == 0:
        return torch.zeros(0, dtype=torch.long)
    return torch.multinomial(shares, n_droplets, replacement=True, generator=generator)


def paint(
    x: Float[Tensor, " n"],
    y: Float[Tensor, " n"],
    r: Float[Tensor, " n"],
    palette: Int64[Tensor, " n"],
    saturation: Float[Tensor, "h w"],
    generator: torch.Generator,
) -> Float[Tensor, "h w 3"]:
    """Photograph of droplets, without noise.

    Args:
        x: centres from the left in px, shape (N,).
        y: centres from the top in px, shape (N,).
        r: Gaussian radii in px, shape (N,); a droplet is drawn as a disc of radius ``DISC`` r.
        palette: index into ``PALETTES``, shape (N,).
        saturation: saturation of the photograph, in [0, 1], shape (H, W); the result has exactly this one.
        generator: draws the unevenness of the ground, and specks: droplets too small to be seen.

    Returns:
        Red, green and blue in [0, 1], shape (H, W, 3).
    """
    height, width = saturation.shape
    ground = _uneven(height, width, generator)
    value = GROUND_VALUE * (1 + 0.07 * ground[0])
    angle = 2 * math.pi * (GROUND_HUE + 0.03 * ground[1])
    # Hue is an angle: it is mixed as a direction.
    across, along = angle.cos(), angle.sin()
    specks = torch.rand(len(x), 3, generator=generator).tolist()
    for u, v, w in specks:
        _speck(value, u * width, v * height, 0.6 + 0.5 * w)
    for xk, yk, rk, index in zip(x.tolist(), y.tolist(), r.tolist(), palette.tolist(), strict=True):
        disc = DISC * rk
        window, row, distance = _around(xk, yk, disc + 3, height, width)
        inside = torch.sigmoid((disc - distance) / 0.5)
        hue, brightness = _half_moon(PALETTES[index], row / disc, distance / disc)
        value[window] += inside * (GROUND_VALUE * brightness - value[window])
        across[window] += inside * ((2 * math.pi * hue).cos() - across[window])
        along[window] += inside * ((2 * math.pi * hue).sin() - along[window])
    return rgb(torch.atan2(along, across) / (2 * math.pi), saturation, value.clamp(0, 1))


def _around(x: float, y: float, within: float, height: int, width: int) -> tuple[tuple[slice, slice], Tensor, Tensor]:
    """The pixels within a distance of a point: their window, how far below it and how far from it, in px."""
    rows = slice(max(0, math.floor(y - within)), max(0, min(height, math.ceil(y + within) + 1)))
    columns = slice(max(0, math.floor(x - within)), max(0, min(width, math.ceil(x + within) + 1)))
    row = (torch.arange(height)[rows] - y)[:, None]
    return (rows, columns), row, (row**2 + (torch.arange(width)[columns] - x) ** 2).sqrt()


def _speck(value: Tensor, x: float, y: float, r: float) -> None:
    """Darken a speck of Gaussian radius r px in place."""
    window, _, distance = _around(x, y, 4 * r, value.shape[0], value.shape[1])
    value[window] *= 1 - 0.22 * torch.exp(-((distance / r) ** 2) / 2)


def _half_moon(palette: Palette, depth: Tensor, distance: Tensor) -> tuple[Tensor, Tensor]:
    """Hue and brightness in a droplet: depth is -1 at the top and 1 at the bottom, distance 1 at the rim."""
    # A crescent rather than a straight border: the light part bulges upwards.
    step = torch.sigmoid(2 * palette.sharpness * (depth + 0.35 - 0.45 * (distance**2 - depth**2).clamp(0)))
    hue = palette.top_hue + (palette.bottom_hue - palette.top_hue) * step
    brightness = palette.top_value + (palette.bottom_value - palette.top_value) * step
    rim = torch.exp(-(((distance - 0.95) / 0.15) ** 2)) * (0.75 - depth).clamp(0, 1)
    return hue, brightness * (1 - 0.16 * rim)


def _uneven(height: int, width: int, generator: torch.Generator) -> Tensor:
    """Two smooth fields, shape (2, H, W), of about unit size: sums of a few long waves."""
    waves = 6
    number = 2.5 * (torch.rand(2, waves, 2, generator=generator) - 0.5)
    phase = 2 * math.pi * torch.rand(2, waves, generator=generator)
    rows = 2 * math.pi * number[..., :1] * torch.linspace(0, 1, height)
    columns = 2 * math.pi * number[..., 1:] * torch.linspace(0, 1, width)
    field = torch.zeros(2, height, width)
    for k in range(waves):
        field += torch.cos(rows[:, k, :, None] + columns[:, k, None, :] + phase[:, k, None, None])
    return field / math.sqrt(waves / 2)


def rgb(
    hue: Float[Tensor, "*shape"], saturation: Float[Tensor, "*shape"], value: Float[Tensor, "*shape"]
) -> Float[Tensor, "*shape 3"]:
    """Red, green and blue, shape (..., 3), of hue (in turns), saturation and value of shape (...)."""
    # Each colour falls from value to value (1 - saturation) with its distance in hue (A. R. Smith, 1978).
    turn = (torch.tensor([5.0, 3.0, 1.0]) + 6 * hue[..., None]) % 6
    fall = torch.minimum(turn, 4 - turn).clamp(0, 1)
    return value[..., None] * (1 - saturation[..., None] * fall)
