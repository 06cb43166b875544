"""New images that look as the model of a measured one says, and whose droplets are known."""

import numpy as np
import torch

from pyrodrop.detection.learning.laboratory import MarkedImage, marked_image
from pyrodrop.rendering import profile_named, render
from pyrodrop.workflows.measuring.measurement import Measurement

PRESENT = 0.5  # presence from which a droplet of the measured image is drawn again
# Places are tried so often, and two centres are no closer than this in sums of their radii: of droplets that lie over
# each other the model says how they add up, which droplets need not do.
_TRIES, _APART = 50, 0.8


def drawn_like(measurement: Measurement, number: int, seed: int) -> list[MarkedImage]:
    """Draws of a measurement's model with the droplets at other places.

    Background, profile, noise, and the pairs of radius and height are those of its mode; each draw has as many droplets
    as were present, some of them more than once, as far as there is room. Of several channels it is their mean.

    Args:
        measurement: of an image (C, H, W).
        number: of draws.
        seed: of places and noise.
    """
    present = np.flatnonzero(measurement.presence.numpy() >= PRESENT)
    if not len(present):
        return []
    rng = np.random.default_rng(seed)
    sites, profile, shape = measurement.sites, profile_named(measurement.profile), measurement.shape
    noise = float(measurement.noise.square().mean().sqrt()) / len(measurement.noise) ** 0.5
    background = measurement.background.double().mean(0)
    height, width = measurement.size
    drawn = []
    for k in range(number):
        again = torch.from_numpy(rng.choice(present, len(present)))
        r, amplitude = sites["r"][again], sites["amplitude"].mean(0)[again]
        radius = profile.half_radius(r.numpy(), shape.numpy())
        places, kept = _places(radius, (height, width), rng)
        x, y = (torch.from_numpy(places[:, axis].copy()) for axis in (0, 1))
        r, amplitude, radius = r[kept], amplitude[kept], radius[kept]
        edge = shape if len(shape) else None
        clean = render(x, y, r, amplitude, 0.0, (height, width), profile=profile.name, shape=edge)
        pixels = (background + clean).numpy() + noise * rng.normal(size=(height, width))
        detectability = np.abs(amplitude.numpy()) / max(noise, 1e-9) * np.sqrt(np.pi) * r.numpy()
        circles = np.column_stack([places, radius])
        drawn.append(marked_image(f"draw {k}", pixels.astype(np.float32), circles, detectability))
    return drawn


def _places(radius: np.ndarray, size: tuple[int, int], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Centres (n, 2) in an image of this size (H, W), the largest first, and which radii have found room."""
    places, kept = np.zeros((0, 2)), np.zeros(0, np.int64)
    for k in np.argsort(-radius, kind="stable"):
        tried = rng.uniform(-0.5, [size[1] - 0.5, size[0] - 0.5], (_TRIES, 2))
        distance = np.linalg.norm(tried[:, None] - places, axis=-1)
        room = np.flatnonzero((distance >= _APART * (radius[k] + radius[kept])).all(1))
        if len(room):
            places, kept = np.vstack([places, tried[room[0]]]), np.append(kept, k)
    return places, kept
