"""A channel with droplets for the tests of the models: image, log likelihood and gradient in closed form."""

from typing import NamedTuple

import numpy as np
import torch
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from pyrodrop.models.channel_fit import DropletImage

LATENT = ["bg", "x", "y", "r", "amplitude"]
Numbers = NDArray[np.float64]


class Scene(NamedTuple):
    """A channel and a place in the latent space: x and y in px."""

    channel: Numbers
    error_scale: float
    bg: float
    x: Numbers
    y: Numbers
    r: Numbers
    amplitude: Numbers

    @property
    def size(self) -> tuple[int, int]:
        return self.channel.shape[0], self.channel.shape[1]

    def sites(self) -> dict[str, Tensor]:
        """Values of the model's sites, in which x and y are fractions of width and height."""
        h, w = self.size
        columns = (self.bg, self.x / w, self.y / h, self.r, self.amplitude)
        return {name: torch.tensor(column, dtype=torch.float64) for name, column in zip(LATENT, columns, strict=True)}

    def distribution(self) -> DropletImage:
        columns = (torch.tensor(c, dtype=torch.float64) for c in (self.x, self.y, self.r, self.amplitude, self.bg))
        return DropletImage(*columns, self.error_scale, self.size)


@st.composite
def scenes(draw: st.DrawFn, outside: bool = False) -> Scene:
    """Radii from 0.1 px to three times the image; centres in the model's support, or far outside as well.

    In the support too a centre may lie outside: the last pixel is w - 1, and the fraction 1 would be w.
    """
    h, w, n = draw(st.integers(1, 12)), draw(st.integers(1, 12)), draw(st.integers(1, 5))
    generator = np.random.default_rng(draw(st.integers(0, 9999)))
    low, high = (-2.0, 3.0) if outside else (0.0, 1.0)
    x, y = generator.uniform(low, high, (2, n)) * np.array([[w], [h]])
    if draw(st.booleans()):
        x[0], y[0] = (-w, 2 * h) if outside else (w - 1e-6, h - 1e-6)
    return Scene(
        channel=generator.uniform(-0.2, 1.2, (h, w)),
        error_scale=draw(st.sampled_from([0.01, 0.05, 1.0])),
        bg=generator.uniform(),
        x=x,
        y=y,
        r=0.1 * (30.0 * max(w, h)) ** generator.uniform(0, 1, n),
        amplitude=generator.uniform(0, 1, n),
    )


class ClosedForm(NamedTuple):
    image: Numbers
    log_likelihood: float
    by: dict[str, Numbers]


def closed_form(s: Scene) -> ClosedForm:
    """Image, log likelihood and its gradient by bg, x, y, r in px and amplitude: one droplet after the other."""
    rows, columns = np.mgrid[: s.size[0], : s.size[1]]
    image = np.full(s.size, s.bg)
    for x, y, r, a in zip(s.x, s.y, s.r, s.amplitude, strict=True):
        image += a * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * r**2))
    by_image = (s.channel - image) / s.error_scale**2
    by: dict[str, list[float]] = {"x": [], "y": [], "r": [], "amplitude": []}
    for x, y, r, a in zip(s.x, s.y, s.r, s.amplitude, strict=True):
        distance2 = (columns - x) ** 2 + (rows - y) ** 2
        profile = np.exp(-distance2 / (2 * r**2))
        by["x"].append((by_image * a * profile * (columns - x)).sum() / r**2)
        by["y"].append((by_image * a * profile * (rows - y)).sum() / r**2)
        by["r"].append((by_image * a * profile * distance2).sum() / r**3)
        by["amplitude"].append((by_image * profile).sum())
    likelihood = stats.norm.logpdf(s.channel, image, s.error_scale).sum()
    gradient = {name: np.array(column) for name, column in by.items()} | {"bg": np.array(by_image.sum())}
    return ClosedForm(image, float(likelihood), gradient)


def assert_gradient(found: dict[str, Tensor], expected: dict[str, Numbers]) -> None:
    # A droplet wholly outside has a gradient of nothing: what counts is the size of the gradient as a whole.
    largest = max(np.abs(gradient).max() for gradient in expected.values())
    for name, gradient in found.items():
        np.testing.assert_allclose(gradient.numpy(), expected[name], rtol=1e-9, atol=1e-9 * largest, err_msg=name)


SCENE = Scene(
    channel=np.random.default_rng(5).uniform(0, 1, (6, 7)),
    error_scale=0.2,
    bg=0.3,
    x=np.array([1.5, 6.8, 3.0]),
    y=np.array([2.0, 5.9, 3.5]),
    r=np.array([0.1, 1.7, 30.0]),
    amplitude=np.array([0.9, 0.4, 0.05]),
)
