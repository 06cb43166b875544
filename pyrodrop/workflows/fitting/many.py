"""Several images of one size fitted side by side, as one batch; each comes out as if it had been fitted alone."""

from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike
from torch import Tensor

from pyrodrop.images import ImageError, as_channel
from pyrodrop.workflows.fitting.fit import begin, fit
from pyrodrop.workflows.fitting.fit_result import Fit
from pyrodrop.workflows.fitting.side_by_side import go_on_together
from pyrodrop.workflows.settings import Count, check_settings, steps_wanted


def fit_many(
    channels: Sequence[ArrayLike | Tensor] | Tensor,
    n_droplets: Count = 500,
    error_scale: float = 0.05,
    steps: Count = "auto",
    learning_rate: float = 0.01,
    start: str = "peaks",
    seed: int = 0,
    device: str = "auto",
    progress: bool = True,
    *,
    restarts: int = 1,
    tolerance: float = 1e-4,
    births: bool = True,
    compiled: bool | None = None,
) -> list[Fit]:
    """Fit droplets to several channels of one size side by side: one step of all of them at a time.

    Each fit is the one that ``fit`` makes of that channel alone with the same settings, but for rounding: it has the
    same random numbers, births, deaths and end. What a step costs beside its pixels is paid for once: small images
    gain by it, and any on a GPU, which one image cannot keep busy. The search for the peaks, births and deaths go
    through the images one by one, on the CPU.

    Args:
        channels: the channels, each (H, W) and finite, or all as (B, H, W).
        n_droplets: the number of droplets in each; with "auto" the numbers differ and each image is fitted alone.
        error_scale, steps, learning_rate, start, seed, device, restarts, tolerance, births, compiled: as for ``fit``,
            of each. With ``steps="auto"`` an image that has settled stays as it is while the others go on.
        progress: show a progress bar on standard error, with the mean loss of the images that still go on.

    Returns:
        A fit for each channel, in their order; ``seconds`` is its share of the time.

    Raises:
        ImageError: if a channel is not a finite image, or not of the size of the first.
        SettingError: as for ``fit``.
    """
    settings = check_settings(
        n_droplets, error_scale, learning_rate, start, seed, device, tolerance, restarts, births, compiled
    )
    wanted = steps_wanted(steps)
    pixels = [_channel(number, channel) for number, channel in enumerate(channels)]
    for number, one in enumerate(pixels):
        if one.shape != pixels[0].shape:
            raise ImageError(
                f"channel {number} has shape {tuple(one.shape)} and the first {tuple(pixels[0].shape)}: "
                "give channels of one size, and those of another in a call of their own"
            )
    if settings.n_droplets == 0:
        given = (n_droplets, error_scale, steps, learning_rate, start, seed, device, progress)
        how: dict[str, Any] = {"restarts": restarts, "tolerance": tolerance, "births": births, "compiled": compiled}
        return [fit(one, *given, **how) for one in pixels]
    return go_on_together([begin(one, settings) for one in pixels], wanted, progress)


def _channel(number: int, channel: ArrayLike | Tensor) -> Tensor:
    try:
        return as_channel(channel).cpu()
    except ImageError as error:
        raise ImageError(f"channel {number}: {error}") from error
