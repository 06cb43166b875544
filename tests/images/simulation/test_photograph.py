"""The paint around a channel of saturation: it keeps that channel, and nothing else decides it."""

import colorsys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pyrodrop.images import Micrograph
from pyrodrop.images.simulation.photograph import PALETTES, choose_palettes, paint, rgb


@settings(deadline=None)
@given(st.floats(-2, 2), st.floats(0, 1), st.floats(0, 1))
def test_rgb_is_the_usual_conversion(hue: float, saturation: float, value: float) -> None:
    colours = rgb(*(torch.tensor(number, dtype=torch.float64) for number in (hue, saturation, value)))
    np.testing.assert_allclose(colours, colorsys.hsv_to_rgb(hue % 1, saturation, value), atol=1e-6)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 6), st.integers(0, 1000))
def test_painting_keeps_the_saturation(n_droplets: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x, y = 80 * torch.rand(2, n_droplets, generator=generator) - 20  # some outside
    r = 1 + 9 * torch.rand(n_droplets, generator=generator)
    saturation = torch.rand(40, 50, generator=generator)
    picture = paint(x, y, r, choose_palettes(n_droplets, generator), saturation, generator)
    assert picture.shape == (40, 50, 3)
    assert float(picture.min()) >= 0
    assert float(picture.max()) <= 1
    torch.testing.assert_close(Micrograph(picture.contiguous()).channel("saturation"), saturation, atol=1e-5, rtol=0)


def test_palettes_are_drawn_by_their_shares() -> None:
    assert sum(palette.share for palette in PALETTES) == pytest.approx(1)
    drawn = choose_palettes(10_000, torch.Generator().manual_seed(0))
    shares = torch.bincount(drawn, minlength=len(PALETTES)) / 10_000
    np.testing.assert_allclose(shares, [palette.share for palette in PALETTES], atol=0.025)
    assert choose_palettes(0, torch.Generator()).shape == (0,)
