"""``summary.json``: what every run says of itself, made in one place and written whole.

A run adds its results to these numbers; ``run_files.finish_run`` writes them.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import pyrodrop

if TYPE_CHECKING:
    from torch import Tensor

SUMMARY = "summary.json"


class SummarisedImage(NamedTuple):
    """What a summary says of the image.

    Attributes:
        name: of the file.
        size: height and width in px.
        channel: name of the channel.
        pixel_size_um: micrometres a pixel, or None.
        black_level: the number of the file that was taken for black; said where it is not 0.
    """

    name: str
    size: tuple[int, int]
    channel: str
    pixel_size_um: float | None
    black_level: float = 0.0


class SummarisedRun(NamedTuple):
    """What a summary says of how it ran: seed, device, seconds, and the loss of each step, (steps,), or None."""

    seed: int
    device: str
    seconds: float
    losses: "Tensor | None" = None


def run_summary(
    image: SummarisedImage, run: SummarisedRun, n_droplets: int, results: Mapping[str, Any]
) -> dict[str, Any]:
    """The summary of one image's results.

    Args:
        image, run: what they are about.
        n_droplets: how many droplets.
        results: what else the run has to say, as JSON can hold it; among it ``background`` and ``noise``.

    Returns:
        version, seed, device, image, width, height, channel, pixel_size_um, n_droplets, then the results, then
        seconds and, where there are losses, steps, iterations_per_second, first_loss and mean_loss_last_tenth.
    """
    height, width = image.size
    summary = {
        "version": pyrodrop.__version__,
        "seed": run.seed,
        "device": run.device,
        "image": image.name,
        "width": width,
        "height": height,
        "channel": image.channel,
        "pixel_size_um": image.pixel_size_um,
        **({"black_level": image.black_level} if image.black_level else {}),
        "n_droplets": n_droplets,
        **results,
        "seconds": round(run.seconds, 3),
    }
    return summary if run.losses is None else summary | _of_losses(run.losses, run.seconds)


def _of_losses(losses: "Tensor", seconds: float) -> dict[str, Any]:
    steps = len(losses)
    return {
        "steps": steps,
        "iterations_per_second": float(f"{steps / max(seconds, 1e-9):.4g}"),
        "first_loss": float(losses[0]),
        "mean_loss_last_tenth": float(losses[-max(steps // 10, 1) :].double().mean()),
    }
