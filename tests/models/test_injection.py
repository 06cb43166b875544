"""Droplets are added as the renderer draws them, and nothing else is changed."""

import torch

from pyrodrop.models.injection import add_droplets
from pyrodrop.rendering import render


def test_what_is_added_is_what_is_drawn() -> None:
    generator = torch.Generator().manual_seed(0)
    channel = torch.rand(30, 40, generator=generator, dtype=torch.float64)
    x, y, r, a = (torch.rand(5, generator=generator, dtype=torch.float64) * scale for scale in (40, 30, 6, -1))
    before = channel.clone()
    added = add_droplets(channel, x, y, r, a, profile="gaussian", kernel="separable")
    drawn = render(x, y, r, a, torch.tensor(0.3, dtype=torch.float64), (30, 40), kernel="reference") - 0.3
    torch.testing.assert_close(added - channel, drawn)
    assert torch.equal(channel, before)


def test_no_droplets_change_nothing() -> None:
    channel, none = torch.linspace(0, 1, 72).reshape(8, 9), torch.empty(0)
    assert torch.equal(add_droplets(channel, none, none, none, none, kernel="separable"), channel)
