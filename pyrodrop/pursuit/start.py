"""Where a fit starts: droplets at the peaks of the image, by matching pursuit, and their births and deaths.

A droplet is amplitude * exp(-d^2 / (2 r^2)). What counts is by how much it lowers the half sum of squares of the
residual image: there is no threshold in it, and no unit but the image's own. The compiled loops are in ``pursuit.py``
and ``refine.py``; ``search.py`` says in which order they run; this file is what a fit asks of them.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pyrodrop.models.priors import LEVELS, LOG_RADIUS
from pyrodrop.pursuit.arrangement import Arrangement, Bounds
from pyrodrop.pursuit.search import Search, mode


class Start(NamedTuple):
    """A background and n droplets.

    Attributes:
        bg: background level.
        x, y, r: (n,) centres and radii in px.
        amplitude: (n,) heights.
        gain: (n,) by how much the half sum of squares of the residual rises if that one droplet is taken out.
    """

    bg: float
    x: Tensor
    y: Tensor
    r: Tensor
    amplitude: Tensor
    gain: Tensor


def peaks(
    channel: Tensor,
    n_droplets: int,
    *,
    amplitude_range: tuple[float, float] = LEVELS,
    background_range: tuple[float, float] = LEVELS,
    log_radius: tuple[float, float] = LOG_RADIUS,
    radius_range: tuple[float, float] | None = None,
    error_scale: float = 0.0,
    rounds: int = 2,
) -> Start:
    """Place droplets where they explain most of the image, strongest first, then fit each to what the others leave.

    The background starts at the mode of the image. Matching pursuit places the droplets; sweeps of Gauss-Newton steps
    in x, y, log r and amplitude let them settle; and rounds of births and deaths, see :func:`rearrange`, move those
    that turn out to explain little. The same image gives the same droplets.

    Args:
        channel: (H, W) image.
        n_droplets: number of droplets n.
        amplitude_range: lowest and highest amplitude; droplets of both signs are looked for if 0 lies
            between.
        background_range: lowest and highest background.
        log_radius: mean and standard deviation of the log radius a priori, r ~ LogNormal(mean, sd), r in px.
        radius_range: smallest and largest radius in px; without it, 3 standard deviations below the mean of
            the log radius and 5 above, where broad droplets take up what the background leaves.
        error_scale: standard deviation of the noise, which weighs the prior of r against the image; 0: no
            prior.
        rounds: the most rounds of births and deaths.

    Returns:
        The background and n droplets, the largest gain first, on the device of the channel. Where the image
        holds fewer, the last have tiny gains; where nothing at all is left to explain, they lie evenly
        spread, with amplitude and gain 0.

    Raises:
        ValueError: if the channel is not a finite image, or a range is not in order.
    """
    image = _pixels(channel, n_droplets)
    bounds = _bounds(amplitude_range, background_range, log_radius, radius_range, error_scale)
    search = Search(image.shape, bounds)
    found = search.begin(image, mode(image), n_droplets)
    search.settle(found, sweeps=4)
    search.rearrange(found, rounds)
    return _start(search, found, channel, ordered=True)


def rearrange(
    channel: Tensor,
    start: Start,
    *,
    amplitude_range: tuple[float, float] = LEVELS,
    background_range: tuple[float, float] = LEVELS,
    log_radius: tuple[float, float] = LOG_RADIUS,
    radius_range: tuple[float, float] | None = None,
    error_scale: float = 0.0,
    rounds: int = 8,
) -> tuple[Start, Tensor]:
    """Births and deaths: droplets are born at peaks of the residual, all settle, and those worth least die.

    What a droplet is worth is by how much the half sum of squares rises without it once its neighbours have
    settled: where two droplets stand for one, one of them is worth nothing. Where one stands for two, it leaves
    a residual that another is born into. The best round is returned, so the sum of squares never rises; the
    search ends early when several rounds in a row bring nothing.

    The start is the background and droplets to begin with, whose gain is not used; all else is as in
    :func:`peaks`.

    Returns:
        Background and droplets, each kept in its place in the arrays; and (n,) booleans, whether it was
        reborn.

    Raises:
        ValueError: as in :func:`peaks`.
    """
    image = _pixels(channel)
    bounds = _bounds(amplitude_range, background_range, log_radius, radius_range, error_scale)
    search = Search(image.shape, bounds)
    columns = torch.stack([start.x, start.y, start.r, start.amplitude], -1).detach().double().cpu()
    found = search.resume(image, float(start.bg), columns.numpy())
    search.settle(found, sweeps=2)
    born = search.rearrange(found, rounds) | search.exchange(found, rounds)
    return _start(search, found, channel, ordered=False), torch.from_numpy(born).to(channel.device)


def _pixels(image: Tensor, n_droplets: int = 0) -> npt.NDArray[np.float32]:
    """A float32 copy (H, W) of an image, or an error that says what is wrong with it."""
    if n_droplets < 0:
        raise ValueError(f"expected 0 or more droplets, got {n_droplets}")
    if image.ndim != 2 or 0 in image.shape:
        raise ValueError(f"expected an image (H, W), got shape {tuple(image.shape)}; pick one channel of it")
    pixels: npt.NDArray[np.float32] = image.detach().cpu().float().numpy().copy(order="C")
    if not np.isfinite(pixels).all():
        raise ValueError("the image holds values that are not finite; replace them before droplets are looked for")
    return pixels


def _bounds(
    amplitude: tuple[float, float],
    background: tuple[float, float],
    log_radius: tuple[float, float],
    radius: tuple[float, float] | None,
    error_scale: float,
) -> Bounds:
    mean, sd = log_radius
    if not sd > 0:
        raise ValueError(f"expected log_radius as a mean and a positive standard deviation, got {log_radius}")
    if radius is None:
        radius = (math.exp(mean - 3 * sd), math.exp(mean + 5 * sd))
    ranges = {"amplitude_range": amplitude, "background_range": background, "radius_range": radius}
    for name, (low, high) in ranges.items():
        if not low <= high:
            raise ValueError(f"expected {name} as lowest and highest, got {(low, high)}")
    if not radius[0] > 0:
        raise ValueError(f"expected radii above 0 px, got radius_range={radius}")
    if not 0 <= error_scale < math.inf:
        raise ValueError(f"expected an error_scale of 0 or more, got {error_scale}")
    return Bounds(amplitude, background, radius, log_radius, error_scale)


def _start(search: Search, found: Arrangement, like: Tensor, ordered: bool) -> Start:
    gain = search.gains(found)
    order = np.argsort(-gain, kind="stable") if ordered else np.arange(gain.size)
    dtype = like.dtype if like.is_floating_point() else torch.float32
    table = torch.from_numpy(np.column_stack([found.droplets, gain])[order]).to(like.device, dtype)
    x, y, r, amplitude, gains = table.unbind(-1)
    return Start(found.background, x, y, r, amplitude, gains)
