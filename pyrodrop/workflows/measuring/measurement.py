"""A measurement: the droplets of one image and all that is made of them."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.joint.pyro_sites import background_of, model_of
from pyrodrop.recognition.droplet_kinds import kinds_of_droplets
from pyrodrop.recognition.learnt import shared_sd
from pyrodrop.rendering import profile_named
from pyrodrop.results.checks.efficiency import Efficiency
from pyrodrop.results.checks.meetings import Meetings
from pyrodrop.results.checks.other_channels import OtherChannels
from pyrodrop.results.checks.residuals import ImageFit, image_fit
from pyrodrop.results.checks.trust import Trust, trust_of
from pyrodrop.results.page.notebook import notebook_html
from pyrodrop.results.statistics.counts import Count, count_distribution
from pyrodrop.results.statistics.kinds import Kinds
from pyrodrop.results.statistics.sizes import Sizes
from pyrodrop.workflows.measuring import doubts, reported
from pyrodrop.workflows.measuring.contents import CandidateDroplets, FittedModel, MeasuredImage
from pyrodrop.workflows.measuring.editing.record import Edit
from pyrodrop.workflows.measuring.editing.request import checked_request
from pyrodrop.workflows.measuring.facts import facts_of, in_three_lines
from pyrodrop.workflows.measuring.rules import EVERYTHING, Rules
from pyrodrop.workflows.measuring.saved import save_measurement

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class Measurement:
    """The droplets of one image, as ``pyrodrop.measure`` returns them.

    Attributes:
        image, droplets, fitted: what was measured, its candidates and how probable each is, the model of it all.
        seed, seconds: of the draws; time it took.
        rules, edits: which droplets count by the caller's word, and what a person has corrected since, in order.
    """

    image: MeasuredImage
    droplets: CandidateDroplets
    fitted: FittedModel
    seed: int
    seconds: float
    rules: Rules = EVERYTHING
    edits: tuple[Edit, ...] = ()

    @property
    def channels(self) -> Tensor:
        """What was measured, (C, H, W), float32."""
        return self.image.channels

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the channels, C of them."""
        return self.image.names

    @property
    def pixel_size_um(self) -> float | None:
        """Side of a pixel in micrometres, None where it is not known."""
        return self.image.pixel_size_um

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the image in px."""
        return self.channels.shape[1], self.channels.shape[2]

    @property
    def looked_at(self) -> NDArray[np.bool_] | None:
        """Pixels that were looked at, (H, W); None for all."""
        return None if self.image.looked_at is None else self.image.looked_at.numpy()

    @property
    def area_px(self) -> int:
        """How many pixels were looked at: the area that ``count`` droplets have their centres in."""
        return self.channels[0].numel() if self.image.looked_at is None else int(self.image.looked_at.sum())

    @property
    def draws(self) -> dict[str, Tensor]:
        """Posterior draws of all candidates, the counted ones first: see ``CandidateDroplets``."""
        return self.droplets.draws

    @property
    def presence(self) -> Tensor:
        """Probability that each candidate is a droplet, (N,), the counted ones first."""
        return self.droplets.presence

    @property
    def profile(self) -> str:
        """The profile that explains the image best, of those that were tried."""
        return self.fitted.profile

    @property
    def evidence(self) -> dict[str, float]:
        """Log evidence of each profile that was tried."""
        return self.fitted.evidence

    @property
    def model(self) -> Callable[[], None]:
        """The Pyro model that was fitted, of no arguments: ``measured`` with its data. ``sites`` are its mode."""
        return model_of(self.channels, self.fitted.scales, self.profile, self.sites, self.image.looked_at)

    @property
    def sites(self) -> dict[str, Tensor]:
        """Values of the model's sites at its mode, by their names, float64; the first droplets are the candidates."""
        return self.fitted.sites

    @property
    def shape(self) -> Tensor:
        """What the profile has beside the radius, (S,): the width of its edge in px, the heights of its curve."""
        parameters = profile_named(self.profile).parameters
        return torch.cat([self.noise.new_zeros(0), *(self.sites[each.name].reshape(-1) for each in parameters)])

    @property
    def shape_by_name(self) -> dict[str, float]:
        """``shape`` by the names of its numbers; empty for a Gaussian."""
        return dict(zip(profile_named(self.profile).shape_names, self.shape.tolist(), strict=True))

    @property
    def noise(self) -> Tensor:
        """Standard deviation of a usual pixel's noise, (C,): the site ``noise`` where the noise is normal."""
        return doubts.usual_noise(self.fitted, self.channels)

    @cached_property
    def background(self) -> Tensor:
        """The smooth background, (C, H, W)."""
        return background_of(self.sites, self.size, self.fitted.scales.spacing).float()

    @property
    def residual(self) -> Tensor:
        """Channels less all that the model says, (C, H, W)."""
        return self.fitted.residual

    @property
    def prediction(self) -> Tensor:
        """The image that the model says, (C, H, W)."""
        return self.channels - self.residual

    @property
    def losses(self) -> Tensor:
        """Negative log density at the initial state of the last joint fit and after each of its steps, (steps + 1,)."""
        return self.fitted.losses

    @property
    def reduced_chi_square(self) -> Tensor:
        """Mean squared residual over the square of the white noise that the image itself shows, (C,)."""
        return self.fitted.reduced_chi_square

    @property
    def residual_in_noise(self) -> Tensor:
        """Residual of each channel in units of its noise, (C, H, W); 0 where nothing was looked at."""
        return doubts.residual_in_noise(self.fitted, self.channels, self.image.looked_at)

    @cached_property
    def residual_map(self) -> NDArray[np.float64]:
        """Residual in units of the noise, root mean square over the channels with the sign of their sum, (H, W)."""
        return reported.in_one_map(self.residual_in_noise.double().numpy())

    @cached_property
    def image_fit(self) -> ImageFit:
        """Whether the model fits the image, and if not, why."""
        parameters = min(len(self.presence) * (3 + len(self.channels)) // len(self.channels), self.area_px - 1)
        residual = self.residual_map * self._white_share
        return image_fit(residual, parameters, self.looked_at, self.pixel_doubts.in_blocks)

    @cached_property
    def meetings(self) -> Meetings:
        """How the counted droplets meet: whether the image is the sum of both there, and which lie within others."""
        return doubts.meetings_in(self.fitted, self.residual_map, self.table)

    @property
    def _white_share(self) -> float:
        return reported.white_share(self.residual_map, self.area_px, float(self.reduced_chi_square.mean()))

    @property
    def n_droplets(self) -> int:
        """How many droplets there are: the median of the count, but no more than there are candidates to name."""
        return min(self.count.quantile(0.5), len(self.presence))

    @property
    def table(self) -> "pd.DataFrame":
        """One row per droplet, as ``droplets.csv``: the ``n_droplets`` most probable candidates, from top to bottom."""
        return self.candidates.head(self.n_droplets).copy()

    @cached_property
    def candidates(self) -> "pd.DataFrame":
        """One row per candidate, as ``candidates.csv``: the rows of ``table``, and then the less probable ones."""
        residual = self.residual_map * min(self._white_share, 1.0)
        return reported.candidate_table(self.image, self.droplets, self.noise, residual, self.kinds)

    @cached_property
    def count(self) -> Count:
        """The number of droplets as a distribution."""
        return count_distribution(self.presence.numpy(), shared_sd(), reported.unfitted_in(self.droplets))

    @cached_property
    def sizes(self) -> Sizes:
        """The size distribution in numbers, each with its interval."""
        return reported.size_distribution(self.image, self.droplets, self.rules, self.count, self.n_droplets, self.seed)

    @cached_property
    def kinds(self) -> Kinds:
        """Which kinds of droplets there are, told by radius and amplitudes: of each its count and sizes."""
        return kinds_of_droplets(self.draws, self.presence, self.pixel_size_um, self.seed)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to be wary of, in words; empty where nothing is."""
        parts = (self.pixel_doubts, self.image_fit, self.meetings, self.efficiency, self.sizes, self.other_channels)
        return tuple(warning for part in parts for warning in part.warnings)

    @cached_property
    def pixel_doubts(self) -> doubts.PixelDoubts:
        """What to be wary of in the pixels themselves: hot ones, blocks of a JPEG, coarse levels."""
        return doubts.doubts_of_pixels(self.image)

    @cached_property
    def other_channels(self) -> OtherChannels:
        """What the network alone counts in the file's other channels, and which would give another answer."""
        return doubts.doubts_of_channels(self.image, self.fitted, self.count)

    @cached_property
    def trust(self) -> Trust:
        """How far all this is to be trusted, in a word, and why."""
        others = self.pixel_doubts.warnings + self.meetings.warnings
        check = doubts.check_of(self.fitted, self.channels, self.looked_at)
        return trust_of(self.n_droplets, self.count.quantile(0.95), self.efficiency.warnings, others, *check)

    @cached_property
    def efficiency(self) -> Efficiency:
        """How much of what looks like a droplet is one, and where in the image little is: unlike anything known."""
        return reported.efficiency_in(self.droplets, self.size)

    @property
    def hot_pixels(self) -> Tensor:
        """Channel, row and column of each pixel that was filled because no optics are so sharp, (n, 3)."""
        return self.image.hot_pixels

    def edit(
        self,
        *,
        remove: Sequence[int] = (),
        add: Sequence[Sequence[float]] = (),
        move: Mapping[int, Sequence[float]] | None = None,
        merge: Sequence[Sequence[int]] = (),
        split: Mapping[int, Sequence[Sequence[float]]] | None = None,
        keep: Sequence[int] = (),
        mask: object = None,
    ) -> "Measurement":
        """The measurement with corrections: a person's word is evidence, and the image says the rest.

        What is removed is not there; what is added, moved or kept is, with presence 1. Droplets that share pixels with
        it, and others as far as it matters, are fitted again (``workflows.measuring.editing``). ids are those of the
        column ``id``, and stay; circles are x, y and radius of half height in px.

        Args:
            remove, keep: ids of what is no droplet, and of what is one.
            add, move: circles of droplets that were missed; by the id of a droplet, the circle where it is.
            merge, split: tuples of the ids of droplets that are one; by an id, the circles of those that it is.
            mask: truth values (H, W), false where is not to be looked any more.

        Raises:
            SettingError: ids that no droplet has, circles out of the image, or a mask of another shape.

        Example:
            >>> import pyrodrop
            >>> image, truth = pyrodrop.simulate(6, (80, 100), seed=3, kind="gray", profile="disc", radius_px=(5, 8))
            >>> m = pyrodrop.measure(image, profile="disc")
            >>> m.n_droplets, m.edit(remove=[0]).n_droplets
            (6, 5)
        """
        from pyrodrop.workflows.measuring.editing.edit import edited  # with it comes the joint fit

        asked = checked_request(remove, add, move, merge, split, keep, mask)
        return replace(self, **edited(self.image, self.droplets, self.fitted, self.edits, asked, self.seed)._asdict())

    def arviz_draws(self) -> tuple[dict[str, Tensor], Tensor]:
        """Draws and what was observed, (C, H, W), as ``pyrodrop.to_arviz`` takes them from a result."""
        return self.draws, self.channels

    def __repr__(self) -> str:
        return in_three_lines(facts_of(self), self.trust.sentence, len(self.warnings))

    def _repr_html_(self) -> str:
        pixels = self.channels[0].numpy()
        return notebook_html("pyrodrop measurement", facts_of(self), pixels, self.table, self.warnings)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything as one file of plain tensors, which ``pyrodrop.load`` reads."""
        save_measurement(self.image, self.droplets, self.fitted, self.seed, self.seconds, self.rules, self.edits, path)
