"""Images with a known truth: a channel of the post's own model, and a colour photograph made around one."""

import math
from typing import TYPE_CHECKING, Any, Literal

import pyro.poutine as poutine
import torch
from PIL import Image
from pyro.poutine.messenger import Messenger
from pyro.poutine.util import site_is_subsample
from torch import Tensor

from pyrodrop.images.micrograph import Micrograph, to_levels
from pyrodrop.images.scaling import from_levels
from pyrodrop.images.simulation.photograph import DISC, PALETTES, choose_palettes, paint
from pyrodrop.models.priors import centres
from pyrodrop.rendering import profile_named, render

if TYPE_CHECKING:
    import pandas as pd

# The channel of a colour image that is the model's: there a droplet has the truth's radius and amplitude.
COLOUR_CHANNEL = "saturation"
# So many batches of candidates without one that fits, and the image is called full.
_IN_VAIN = 30
EMBEDDED_SEED = 20241228
EMBEDDED_SIZE = (300, 400)
EMBEDDED_DROPLETS = 60


def simulate(
    n_droplets: int,
    size: tuple[int, int],
    seed: int = 0,
    *,
    kind: Literal["colour", "gray"] = "colour",
    profile: str = "gaussian",
    shape: tuple[float, ...] | None = None,
    amplitude: tuple[float, float] = (0.2, 0.5),
    radius_px: tuple[float, float] = (2.0, 15.0),
    separation: float = 1.5,
    margin: float = 0.0,
    background: float = 0.14,
    noise: float = 0.01,
    pixel_size_um: float | None = None,
) -> tuple[Micrograph, "pd.DataFrame"]:
    """An image of droplets, and the droplets in it.

    Centres and radii are drawn from the post's prior ``pyrodrop.models.centres``, kept where they meet the
    bounds given here; amplitudes are uniform. The channel is bg + sum_k amplitude_k f(distance_k^2 / r_k^2).
    A gray image is that channel and Gaussian noise, not clipped: a draw from the post's model 3, also above
    1 where droplets overlap. A colour image is a photograph of shaded droplets on an uneven ground whose
    saturation (``COLOUR_CHANNEL``) is that channel up to 0.95, with noise on red, green and blue, in 8 bits
    as a camera would save it.

    For the post's prior itself: radius_px=(0, math.inf), amplitude=(0, 1), separation=0.

    Args:
        n_droplets: how many droplets, at least 0.
        size: height and width (H, W) of the image in px, both at least 2.
        seed: makes the generator that all randomness comes from.
        kind: "colour" or "gray".
        profile: profile f of a droplet, as for ``pyrodrop.render``.
        shape: what the profile needs beside the radius, as many numbers as it has; else the medians of their
            priors: an edge of 1 px, and a flat
            curve.
        amplitude: least and greatest amplitude, each in [0, 1].
        radius_px: least and greatest radius r in px.
        separation: least distance of two centres in sums of their radii r; 0 lets droplets overlap.
        margin: a centre is at least this many radii r from the sides of the image.
        background: level of the channel without droplets, in [0, 1].
        noise: standard deviation of the noise of a pixel, in units of [0, 1], on each colour.
        pixel_size_um: width of a pixel in micrometres, if the image is to have one.

    Returns:
        The image, pixels (H, W, 3) or (H, W, 1), and the truth, a row a droplet: id, x_px, y_px, radius_px
        (r) and amplitude; for a colour image also disc_radius_px, of the disc that the eye sees, and palette,
        the name of its colours.

    Raises:
        ValueError: an argument out of its range, or no room for so many droplets.

    Example:
        >>> import pyrodrop
        >>> image, truth = pyrodrop.simulate(12, (96, 128), seed=1)
        >>> image.size, tuple(image.channel("saturation").shape), len(truth)
        ((96, 128), (96, 128), 12)
    """
    _check(n_droplets, size, kind, amplitude, radius_px, separation, margin, background, noise)
    height, width = size
    generator = torch.Generator().manual_seed(seed)
    x, y, r = _place(n_droplets, size, radius_px, separation, margin, generator)
    low, high = amplitude
    a = low + (high - low) * torch.rand(n_droplets, generator=generator)
    # The compiled kernels pay only where the products are large.
    kernel = "separable" if profile_named(profile).gaussian and n_droplets * height * width <= 10**10 else "auto"
    shared = _shape(profile, shape)
    channel = render(x, y, r, a, torch.tensor(float(background)), size, profile=profile, kernel=kernel, shape=shared)
    columns: dict[str, Any] = {"x_px": x, "y_px": y, "radius_px": r, "amplitude": a}
    columns = {name: column.double().numpy() for name, column in columns.items()}
    if kind == "gray":
        pixels = (channel + noise * torch.randn(height, width, generator=generator))[..., None]
    else:
        palette = choose_palettes(n_droplets, generator)
        picture = paint(x, y, r, palette, channel.clamp(0, 0.95), generator)
        picture = picture + noise * torch.randn(height, width, 3, generator=generator)
        pixels = from_levels(to_levels(picture))
        columns |= {
            "disc_radius_px": DISC * columns["radius_px"],
            "palette": [PALETTES[k].name for k in palette],
        }

    import pandas as pd

    truth = pd.DataFrame({"id": range(n_droplets), **columns})
    return Micrograph(pixels, pixel_size_um), truth


def embedded() -> tuple[Micrograph, "pd.DataFrame"]:
    """The micrograph that the package brings along: always the same, 400 x 300 px, 60 coloured droplets.

    Returns:
        The image and its truth, as ``simulate`` returns them; fit its ``COLOUR_CHANNEL``.
    """
    return simulate(
        EMBEDDED_DROPLETS,
        EMBEDDED_SIZE,
        EMBEDDED_SEED,
        radius_px=(2.0, 10.0),
        margin=0.5,
        noise=0.008,
        pixel_size_um=0.5,
    )


class _DrawnFrom(Messenger):
    """Draws the sites of a model from a generator, by inversion, and leaves torch's global stream alone."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.generator = generator

    def _pyro_sample(self, msg: Any) -> None:
        if not (msg["done"] or msg["is_observed"] or site_is_subsample(msg)):
            uniform = torch.rand(msg["fn"].shape(), generator=self.generator)
            # Neither end: some distributions are infinite there.
            msg["value"] = msg["fn"].icdf(uniform.clamp(1e-7, 1 - 1e-7))
            msg["done"] = True


def _place(
    n_droplets: int,
    size: tuple[int, int],
    radius_px: tuple[float, float],
    separation: float,
    margin: float,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor, Tensor]:
    """Centres and radii from the prior, each of shape (n_droplets,), within the bounds."""
    height, width = size
    placed, in_vain = torch.empty(0, 3), 0
    # Batches small enough that all distances to the droplets placed fit into memory.
    batch = 256 if separation > 0 else max(256, 2 * n_droplets)
    while len(placed) < n_droplets and in_vain < _IN_VAIN:
        with poutine.block(), _DrawnFrom(generator), poutine.trace() as drawn:
            centres(width, height, batch)
        sites: dict[str, Any] = drawn.trace.nodes
        candidates = torch.stack([sites[site]["value"] for site in ("x", "y", "r")], -1)
        x, y, r = candidates.unbind(-1)
        fits = (r >= radius_px[0]) & (r <= radius_px[1])
        if margin > 0:  # from the outermost pixel centres
            inset = torch.stack([x, width - 1 - x, y, height - 1 - y]).amin(0)
            fits &= inset >= margin * r
        fitting = _apart(placed, candidates[fits], separation)
        in_vain = 0 if len(fitting) else in_vain + 1
        placed = torch.cat([placed, fitting])[:n_droplets]
    if len(placed) < n_droplets:
        raise ValueError(
            f"only {len(placed)} of {n_droplets} droplets found room in {width} x {height} pixels: give a "
            "larger image, fewer droplets, a smaller separation or margin, or a wider range of radii."
        )
    x, y, r = placed.unbind(-1)
    return x.contiguous(), y.contiguous(), r.contiguous()


def _apart(placed: Tensor, candidates: Tensor, separation: float) -> Tensor:
    """Those of the candidates, shape (C, 3), that keep their distance from those placed and from those before them."""
    if separation == 0:
        return candidates
    candidates = candidates[_clear(candidates, placed, separation).all(1)]
    clear = _clear(candidates, candidates, separation)
    taken: list[int] = []
    for index in range(len(candidates)):
        if bool(clear[index, taken].all()):
            taken.append(index)
    return candidates[taken]


def _clear(droplets: Tensor, others: Tensor, separation: float) -> Tensor:
    """Whether droplets x, y, r, shapes (A, 3) and (B, 3), are far enough apart, shape (A, B)."""
    (x, y, r), (u, v, w) = droplets.T[..., None], others.T
    return torch.hypot(x - u, y - v) >= separation * (r + w)


def _shape(profile: str, shape: tuple[float, ...] | None) -> Tensor | None:
    """The renderer's shape parameters, the medians of their priors if none are given."""
    drawn = profile_named(profile)
    if shape is None:
        return torch.from_numpy(drawn.initial_shape).float() if drawn.size else None
    positive = all(number > 0 for number, log in zip(shape, drawn.log, strict=False) if log)
    if len(shape) != drawn.size or not positive:
        names = ", ".join(drawn.shape_names) or "none"
        raise ValueError(
            f"shape is {shape}: profile {profile!r} takes {drawn.size} numbers ({names}), widths positive."
        )
    return torch.tensor(shape) if len(shape) else None


def _check(
    n_droplets: int,
    size: tuple[int, int],
    kind: str,
    amplitude: tuple[float, float],
    radius_px: tuple[float, float],
    separation: float,
    margin: float,
    background: float,
    noise: float,
) -> None:
    """A ValueError for the first argument of ``simulate`` that is out of its range."""
    if n_droplets < 0:
        raise ValueError(f"n_droplets is {n_droplets}: give 0 or more.")
    if len(size) != 2 or min(size) < 2:
        raise ValueError(f"size is {size}: give (height, width) in pixels, both at least 2.")
    if Image.MAX_IMAGE_PIXELS is not None and size[0] * size[1] > Image.MAX_IMAGE_PIXELS:
        raise ValueError(f"size is {size}: give at most {Image.MAX_IMAGE_PIXELS:,} pixels, more is read by nobody.")
    most = max(size[0] * size[1], 10_000)
    if n_droplets > most:
        raise ValueError(f"n_droplets is {n_droplets}: give at most one a pixel, {most:,}.")
    if kind not in ("colour", "gray"):
        raise ValueError(f"kind {kind!r} is unknown: choose colour or gray.")
    if not 0 <= amplitude[0] <= amplitude[1] <= 1:
        raise ValueError(f"amplitude is {amplitude}: give (least, greatest) within [0, 1].")
    if not 0 <= radius_px[0] < radius_px[1]:
        raise ValueError(f"radius_px is {radius_px}: give (least, greatest) in pixels, rising.")
    if not 0 <= background <= 1:
        raise ValueError(f"background is {background}: give a level within [0, 1].")
    for name, number in (("separation", separation), ("margin", margin), ("noise", noise)):
        if not 0 <= number < math.inf:
            raise ValueError(f"{name} is {number}: give 0 or a positive number.")
