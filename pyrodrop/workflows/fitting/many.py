"""Several images of one size fitted side by side as one batch, each with the result that it has when fitted alone."""

from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike
from torch import Tensor

from pyrodrop.images import ImageError, as_channel
from pyrodrop.workflows.fit_settings import Count, FitSettings, fit_settings, number_of_steps
from pyrodrop.workflows.fitting.fit import begin, check_range, fit
from pyrodrop.workflows.fitting.fit_result import Fit
from pyrodrop.workflows.fitting.side_by_side import go_on_together


def fit_many(
    channels: Sequence[ArrayLike | Tensor] | Tensor,
    n_droplets: Count = FitSettings.n_droplets,
    *,
    steps: Count = "auto",
    progress: bool = True,
    **settings: Any,
) -> list[Fit]:
    """Fit droplets to several channels of one size side by side: one step of all of them at a time.

    Each fit is the one that ``fit`` makes of that channel alone with the same settings, but for rounding: it has the
    same random numbers, births, deaths and end. What a step costs beside its pixels is paid for once: small images
    gain by it, and any on a GPU, which one image cannot keep busy. The search for the peaks, births and deaths go
    through the images one by one, on the CPU.

    Args:
        channels: the channels, each (H, W) and finite, or all as (B, H, W).
        n_droplets: the number of droplets in each; with "auto" the numbers differ and each image is fitted alone.
        steps: as for ``fit``, of each; with "auto" an image whose loss has stopped falling stays as it is while the
            others go on.
        progress: show a progress bar on standard error, with the mean loss of the images that still go on.
        settings: the others of ``fit``, by keyword, of each.

    Returns:
        A fit for each channel, in their order; ``seconds`` is its share of the time.

    Raises:
        ImageError: if a channel is not a finite image, or not of the size of the first.
        SettingError: as for ``fit``.
    """
    checked = fit_settings(n_droplets, **settings)
    number = number_of_steps(steps)
    images = [_channel(place, channel) for place, channel in enumerate(channels)]
    for place, pixels in enumerate(images):
        if pixels.shape != images[0].shape:
            raise ImageError(
                f"channel {place} has shape {tuple(pixels.shape)} and the first {tuple(images[0].shape)}: "
                "give channels of one size, and those of another in a call of their own"
            )
        _in_range(place, pixels, checked)
    if checked.n_droplets == 0:
        return [fit(pixels, n_droplets, steps=steps, progress=progress, **settings) for pixels in images]
    return go_on_together([begin(pixels, checked) for pixels in images], number, progress)


def _in_range(number: int, pixels: Tensor, settings: FitSettings) -> None:
    try:
        check_range(pixels, settings)
    except ImageError as error:
        raise ImageError(f"channel {number}: {error}") from error


def _channel(number: int, channel: ArrayLike | Tensor) -> Tensor:
    try:
        return as_channel(channel).cpu()
    except ImageError as error:
        raise ImageError(f"channel {number}: {error}") from error
