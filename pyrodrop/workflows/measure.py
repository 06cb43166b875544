"""How many droplets, how large, how sure: from an image and nothing else."""

import os
import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.images import ImageError, Micrograph, as_channel
from pyrodrop.models.recognise import LEAST, Recognised, recognise
from pyrodrop.models.settle import draws
from pyrodrop.results.counts import Count, count_distribution
from pyrodrop.results.notebook import notebook_html
from pyrodrop.results.posterior import CheckpointError, load_state, save_state
from pyrodrop.results.residuals import ImageFit, droplet_residuals, image_fit
from pyrodrop.results.sizes import Sizes, size_statistics
from pyrodrop.results.table import droplet_table
from pyrodrop.workflows.kept_checks import Wrong, check_measurement
from pyrodrop.workflows.settings import one_of, positive, whole

if TYPE_CHECKING:
    import pandas as pd

KIND = "pyrodrop measurement"
PROFILES = ("gaussian", "disc", "radial")
Array = NDArray[np.float64]

_DRAWS = 1_000
_LEAST_SIDE = 8
_TENSORS = ("channels", "shape", "presence", "at_bound", "noise", "background", "residual", "losses")
_NEEDS: dict[str, type] = dict.fromkeys(_TENSORS, Tensor) | {"names": list, "draws": dict, "profile": str}
_MOST_CHANNELS = 16


@dataclass(frozen=True, eq=False)
class Measurement:
    """Droplets of one image, measured. N droplets, C channels.

    Attributes:
        channels: what was measured, (C, H, W), float32.
        names: names of the channels, C of them.
        profile: the profile that explains the image best, of "gaussian", "disc" and "radial".
        evidence: log evidence of each profile that was tried.
        shape, shape_sd: what the profile has beside the radius, and its standard deviation: for a disc the width
            of its edge in px, for "radial" that and the heights of its curve.
        draws: posterior draws x_px, y_px, radius_px, (draws, N), and amplitude, (draws, C, N).
        presence: probability that each droplet is there, (N,).
        at_bound: droplets that the fit held back at an edge of where it looked, (N,).
        noise: standard deviation of a pixel's noise, (C,).
        background: background, (C, H, W), and ``residual``, channels less all that the model says, (C, H, W).
        losses: negative log density at the start of the last joint fit and after each of its steps, (steps + 1,).
        reduced_chi_square: mean squared residual over the square of the white noise that the image itself shows.
        pixel_size_um: side of a pixel in micrometres, None where it is not known.
        seed: of the draws.
        seconds: time it took.
    """

    channels: Tensor = field(repr=False)
    names: tuple[str, ...]
    profile: str
    evidence: dict[str, float]
    shape: Tensor
    shape_sd: Tensor
    draws: dict[str, Tensor] = field(repr=False)
    presence: Tensor = field(repr=False)
    at_bound: Tensor = field(repr=False)
    noise: Tensor
    background: Tensor = field(repr=False)
    residual: Tensor = field(repr=False)
    losses: Tensor = field(repr=False)
    reduced_chi_square: Tensor
    pixel_size_um: float | None
    seed: int
    seconds: float

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the image in px."""
        return self.channels.shape[1], self.channels.shape[2]

    @property
    def prediction(self) -> Tensor:
        """The image that the model says, (C, H, W)."""
        return self.channels - self.residual

    @property
    def shape_by_name(self) -> dict[str, float]:
        """``shape`` by the names of its numbers; empty for a Gaussian."""
        names = ["edge_px", *(f"curve_{knot}" for knot in range(len(self.shape) - 1))]
        return dict(zip(names, self.shape.tolist(), strict=False))

    @property
    def residual_in_noise(self) -> Tensor:
        """Residual of each channel in units of its noise, (C, H, W)."""
        return self.residual / self.noise.float()[:, None, None]

    @cached_property
    def residual_map(self) -> Array:
        """Residual in units of the noise, root mean square over the channels with the sign of their sum, (H, W)."""
        z = self.residual_in_noise.double().numpy()
        if len(z) == 1:
            return np.asarray(z[0])
        return np.asarray(np.sqrt(np.square(z).mean(0)) * np.where(z.sum(0) < 0, -1.0, 1.0))

    @cached_property
    def image_fit(self) -> ImageFit:
        """Whether the model fits the image, and if not, why."""
        parameters = len(self.presence) * (3 + len(self.channels)) // len(self.channels)
        # In units of the white noise that the image shows, not of the noise that has taken up the misfit.
        white = (self.reduced_chi_square.sqrt()).mean().item()
        return image_fit(self.residual_map * white, min(parameters, self.residual_map.size - 1))

    @cached_property
    def table(self) -> "pd.DataFrame":
        """One row per droplet, as ``droplets.csv``; with several channels also each one's amplitude, the colour."""
        heights = self.draws["amplitude"]
        mean = {**self.draws, "amplitude": heights.mean(1)}
        x, y, radius = (self.draws[name].double().mean(0).numpy() for name in ("x_px", "y_px", "radius_px"))
        misfit = droplet_residuals(self.residual_map, x, y, radius)
        made = droplet_table(
            mean,
            self.size,
            float(self.noise.square().mean().sqrt() / len(self.noise) ** 0.5),
            self.presence,
            self.pixel_size_um,
            residuals=misfit,
            held=self.at_bound.numpy(),
        )
        if len(self.names) > 1:
            for c, name in enumerate(self.names):
                values = heights[:, c].double().numpy()
                low, high = np.quantile(values, [0.05, 0.95], axis=0)
                parts = {"": values.mean(0), "_sd": values.std(0), "_q05": low, "_q95": high}
                made = made.assign(**{f"amplitude_{name}{end}": part for end, part in parts.items()})
        return made

    @cached_property
    def count(self) -> Count:
        """The number of droplets as a distribution."""
        return count_distribution(self.presence.numpy())

    @cached_property
    def sizes(self) -> Sizes:
        """The size distribution in numbers, each with its interval."""
        return size_statistics(
            2 * self.draws["radius_px"].double().numpy(),
            self.presence.numpy(),
            pixel_size_um=self.pixel_size_um,
            seed=self.seed,
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to be wary of, in words; empty where nothing is."""
        return self.image_fit.warnings + self.sizes.warnings

    def _repr_html_(self) -> str:
        facts = {"profile": self.profile, "count": self.count.mean, "median diameter": self.sizes["dn50"].mean}
        likely = self.table[self.table["presence"] >= 0.5]
        return notebook_html("pyrodrop measurement", facts, self.channels[0].numpy(), likely, self.warnings)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything as one file of plain tensors, which ``pyrodrop.load`` reads."""
        state = {name: getattr(self, name) for name in self.__dataclass_fields__}
        save_state(state | {"kind": KIND, "names": list(self.names)}, path)


def measure(
    image: object,
    *,
    profile: str = "auto",
    pixel_size_um: float | None = None,
    seed: int = 0,
) -> Measurement:
    """Find the droplets of an image, and measure how large they are and how sure all of it is.

    No threshold, no radius and no polarity are asked for. Candidates are circles whose rims the image shows
    (``models.finder``); all of them are then fitted jointly with a smooth background, the noise and the shape of
    their profile (``models.settle``), whose Laplace posterior gives the intervals. A droplet's presence is the
    probability that it is one of the image's droplets at all, rather than clutter, times the probability that the
    image needs it at all, by the evidence with and without it.

    Args:
        image: a channel, an array or tensor of shape (H, W) as for ``fit``; several of them, (C, H, W), which then
            share centres and radii while each has its own amplitude; or a ``Micrograph``, which is measured in all
            its channels and brings its pixel size.
        profile: "gaussian", "disc" or "radial", or "auto" for that with the greatest evidence.
        pixel_size_um: side of a pixel in micrometres, positive; the micrograph's where not given.
        seed: of the posterior draws.

    Returns:
        A ``Measurement``; its ``table``, ``count`` and ``sizes`` are what one takes home.

    Raises:
        ImageError: the image is no image.
        SettingError: a setting out of its range.
    """
    started = time.perf_counter()
    one_of("profile", profile, ("auto", *PROFILES))
    seed = whole("seed", seed)
    names, channels = channels_of(image)
    if pixel_size_um is None and isinstance(image, Micrograph):
        pixel_size_um = image.pixel_size_um
    if pixel_size_um is not None:
        pixel_size_um = positive("pixel_size_um", pixel_size_um)

    pixels = channels.double().numpy()
    seen = recognise(pixels, in_one(pixels), PROFILES if profile == "auto" else (profile,))
    return measurement_of(channels, names, seen, pixel_size_um, seed, started)


def load_measurement(path: str | os.PathLike[str]) -> Measurement:
    """Read the measurement that ``Measurement.save`` wrote.

    Raises:
        CheckpointError: if the file is missing, damaged or something else.
    """
    found = load_state(path, KIND, _NEEDS)
    try:
        check_measurement(found)
        kept = {name: found[name] for name in Measurement.__dataclass_fields__}
        return Measurement(**kept | {"names": tuple(kept["names"])})
    except (KeyError, Wrong) as error:
        raise CheckpointError(
            f"{path} is of another version of pyrodrop or damaged ({error}); give the fit.pt that measure has written"
        ) from error


def channels_of(image: Any) -> tuple[tuple[str, ...], Tensor]:
    """Names and pixels (C, H, W) of what is to be measured; channels that are copies of another are left out."""
    if isinstance(image, Micrograph):
        stacked, names = image.pixels.movedim(-1, 0), _names(image)
    else:
        several = getattr(image, "ndim", 2) == 3
        if several and not 1 <= len(image) <= _MOST_CHANNELS:
            raise ImageError(
                f"the image has shape {tuple(image.shape)}, expected (height, width) or (channels, height, width) "
                f"with at most {_MOST_CHANNELS} channels: choose one, or move the channels to the front."
            )
        planes = [as_channel(plane) for plane in (image if several else [image])]
        stacked, names = torch.stack(planes).cpu(), tuple(str(number) for number in range(len(planes)))
    if min(stacked.shape[1:]) < _LEAST_SIDE:
        raise ImageError(
            f"the image has {stacked.shape[2]} x {stacked.shape[1]} pixels: measuring needs at least 8 on each side."
        )
    kept: list[int] = []
    for c in range(len(stacked)):
        if not any(torch.equal(stacked[c], stacked[k]) for k in kept):
            kept.append(c)
    return tuple(names[c] for c in kept), stacked[kept].contiguous()


def in_one(channels: Array) -> Array:
    """The channel in which droplets stand out most, (H, W): the sum of all, weighted by their first principal
    component, each in units of its own spread; of a single channel, that channel.
    """
    if len(channels) == 1:
        return channels[0]
    flat = channels.reshape(len(channels), -1)
    flat = (flat - flat.mean(1, keepdims=True)) / np.maximum(flat.std(1, keepdims=True), 1e-12)
    _, vectors = np.linalg.eigh(np.cov(flat))
    weights = vectors[:, -1] * np.sign(vectors[:, -1].sum() or 1.0)
    one = np.tensordot(weights, flat, 1).reshape(channels.shape[1:])
    return np.asarray((one - one.min()) / max(float(np.ptp(one)), 1e-12))


def _names(image: Micrograph) -> tuple[str, ...]:
    own = getattr(image, "channel_names", ())
    return own or (("gray",) if image.pixels.shape[-1] == 1 else ("red", "green", "blue"))


def measurement_of(
    channels: Tensor,
    names: tuple[str, ...],
    seen: Recognised,
    pixel_size_um: float | None,
    seed: int,
    started: float,
) -> Measurement:
    """The droplets that may be there, from top to bottom, with draws of their posterior, of what was recognised.

    Those that the border cuts and whose centres lie beyond it are no droplets of this image: they would be counted in
    the next picture, too. The image reaches from the edge of its first pixel to where the model's priors end.
    """
    settled, presence = seen.settled, seen.presence
    height, width = channels.shape[1:]
    within = (settled.x >= -0.5) & (settled.x <= width) & (settled.y >= -0.5) & (settled.y <= height)
    kept = np.flatnonzero(within & (presence >= LEAST))
    kept = kept[np.lexsort((settled.x[kept], settled.y[kept]))]
    drawn = draws(settled, _DRAWS, torch.Generator().manual_seed(seed))
    if drawn["amplitude"].ndim == 2:
        drawn["amplitude"] = drawn["amplitude"][:, None]
    half = drawn.pop("half_radius_px")
    if settled.profile == "radial":  # of whose own r little is known where edge and curve are soft
        drawn["radius_px"] = half
    return Measurement(
        channels=channels,
        names=names,
        profile=settled.profile,
        evidence=seen.evidence,
        shape=torch.from_numpy(settled.shape),
        shape_sd=torch.from_numpy(settled.shape_sd),
        draws={name: torch.from_numpy(values[..., kept].astype(np.float32)) for name, values in drawn.items()},
        presence=torch.from_numpy(presence[kept]),
        at_bound=torch.from_numpy(settled.at_bound[kept]),
        noise=torch.from_numpy(settled.noise),
        background=torch.from_numpy(settled.background),
        residual=torch.from_numpy(settled.residual),
        losses=torch.from_numpy(settled.losses),
        reduced_chi_square=torch.from_numpy(settled.reduced_chi_square),
        pixel_size_um=pixel_size_um,
        seed=seed,
        seconds=time.perf_counter() - started,
    )
