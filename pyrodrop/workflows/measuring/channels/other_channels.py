"""What the network alone counts in each of the channels that were not measured: a look, not a measurement."""

from dataclasses import replace
from pathlib import Path

import torch

from pyrodrop.detection.propose import propose
from pyrodrop.images import Micrograph
from pyrodrop.images.channels.colours import HSV
from pyrodrop.recognition.learnt import shared_sd
from pyrodrop.recognition.recognise import LEAST_FITTED
from pyrodrop.results.checks.other_channels import INTERVAL
from pyrodrop.results.statistics.counts import count_distribution
from pyrodrop.workflows.measuring.measurement import Measurement


def with_other_channels(
    measurement: Measurement, image: Micrograph, measured: str | None, weights: Path, device: torch.device
) -> Measurement:
    """The measurement with what the network counts in the image's other channels.

    Of colours they are hue, saturation and value, which hold all that three numbers a pixel can say; else those of the
    file. Channels without contrast, and copies of others, as those of a gray image that was saved in colours, are left
    out.

    Args:
        measurement: of one of the image's channels, or of several at once.
        image: all channels.
        measured: name of the channel that was measured; None where it was several at once.
        weights: the file of the network.
        device: where it looks.
    """
    seen = [] if measured is None else [image.channel(measured)]
    counts: dict[str, torch.Tensor] = {}
    for name, pixels in _to_look_at(image).items():
        if pixels.min() == pixels.max() or any(torch.equal(pixels, other) for other in seen):
            continue
        seen.append(pixels)
        found = propose(
            pixels, measurement.looked_at, least_presence=LEAST_FITTED, weights=weights, device=device
        ).presence
        count = count_distribution(found.numpy(), shared_sd())
        counts[name] = torch.tensor([count.quantile(level) for level in INTERVAL])
    return replace(measurement, image=measurement.image._replace(others=counts)) if counts else measurement


def _to_look_at(image: Micrograph) -> dict[str, torch.Tensor]:
    """The channels to look at by name; those that a file calls alike have their numbers behind it."""
    own = image.channel_names
    if not own and image.pixels.shape[-1] == 3:
        return {name: image.channel(name) for name in HSV}
    names = [name if own.count(name) == 1 else f"{name} ({number})" for number, name in enumerate(own)]
    return {name: image.pixels[..., number] for number, name in enumerate(names)} if len(own) > 1 else {}
