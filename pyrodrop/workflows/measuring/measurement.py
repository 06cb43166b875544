"""A measurement: the droplets of one image and all that is made of them; saved and loaded."""

import os
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.rendering.profiles import profile_named
from pyrodrop.results.checks.residuals import ImageFit, droplet_residuals, image_fit
from pyrodrop.results.page.notebook import notebook_html
from pyrodrop.results.page.number_format import with_interval
from pyrodrop.results.statistics.counts import Count, count_distribution
from pyrodrop.results.statistics.sizes import Sizes, size_statistics
from pyrodrop.results.storage.checkpoint import CheckpointError, load_state, save_state
from pyrodrop.results.tables.droplet_table import droplet_table
from pyrodrop.workflows.checkpoint_checks import DamagedError, check_measurement

if TYPE_CHECKING:
    import pandas as pd

KIND = "pyrodrop measurement"
Array = NDArray[np.float64]

_TENSORS = ("channels", "shape", "presence", "at_bound", "noise", "background", "residual", "losses")
_NEEDS: dict[str, type] = dict.fromkeys(_TENSORS, Tensor) | {"names": list, "draws": dict, "profile": str}


@dataclass(frozen=True, eq=False)
class Measurement:
    """The droplets of one image, as ``pyrodrop.measure`` returns them: N droplets, in an image of C channels.

    Attributes:
        channels: what was measured, (C, H, W), float32.
        names: names of the channels, C of them.
        profile: the profile that explains the image best, of those that were tried.
        evidence: log evidence of each profile that was tried.
        shape, shape_sd: what the profile has beside the radius, and its standard deviation: for a disc the width
            of its edge in px, for "radial" that and the heights of its curve.
        draws: posterior draws x_px, y_px, radius_px, (draws, N), and amplitude, (draws, C, N).
        presence: probability that each droplet is there, (N,).
        at_bound: droplets that the fit held back at an edge of where it looked, (N,).
        noise: standard deviation of a pixel's noise, (C,).
        background: the smooth background, (C, H, W).
        residual: channels less all that the model says, (C, H, W).
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
        return dict(zip(profile_named(self.profile).shape_names, self.shape.tolist(), strict=True))

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
            at_bounds=self.at_bound.numpy(),
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
        height, width = self.size
        unit = "px" if self.pixel_size_um is None else "µm"
        facts: dict[str, str] = {"image": f"{width} × {height} px", "profile": self.profile}
        median = self.sizes["dn50"]._asdict()
        for name, estimate, of in (("droplets", self.count.as_dict(), ""), ("median diameter", median, f" {unit}")):
            shown = with_interval(estimate)
            facts[name] = f"{shown.value}{of}" + (f" ({shown.interval})" if shown.interval else "")
        likely = self.table[self.table["presence"] >= 0.5]
        return notebook_html("pyrodrop measurement", facts, self.channels[0].numpy(), likely, self.warnings)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything as one file of plain tensors, which ``pyrodrop.load`` reads."""
        state = {name: getattr(self, name) for name in self.__dataclass_fields__}
        save_state(state | {"kind": KIND, "names": list(self.names)}, path)


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
    except (KeyError, DamagedError) as error:
        raise CheckpointError(
            f"{path} is of another version of pyrodrop or damaged ({error}); give the fit.pt that measure has written"
        ) from error
