"""Model 3 of several channels and of known pixels alone, against sums over its channels and pixels."""

import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from torch import Tensor

from pyrodrop.models import channel_fit
from pyrodrop.rendering import render

W, H, N, NOISE = 24, 20, 4, 0.05
CHANNELS = torch.rand(3, H, W, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
KNOWN = torch.rand(H, W, generator=torch.Generator().manual_seed(1)) > 0.3


def sites(channels: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(2)
    shapes = {"bg": (channels, 1), "x": (N,), "y": (N,), "r": (N,), "amplitude": (channels, N)}
    values = {name: torch.rand(*s, dtype=torch.float64, generator=generator) for name, s in shapes.items()}
    return values | {"r": 1.0 + 4.0 * values["r"]}


def density(channel: Tensor, values: dict[str, Tensor], with_val: bool, known: Tensor | None) -> Tensor:
    model = poutine.condition(channel_fit, data=values)
    trace = poutine.trace(model).get_trace(W, H, N, channel, NOISE, with_val, known)
    total: Tensor = trace.log_prob_sum()
    return total


@pytest.mark.parametrize("with_val", [True, False])
@pytest.mark.parametrize("known", [None, KNOWN], ids=["all pixels", "known pixels"])
def test_the_density_is_the_sum_over_channels_and_known_pixels(with_val: bool, known: Tensor | None) -> None:
    v = sites(3)
    place = (v["x"] * W, v["y"] * H, v["r"])
    seen = torch.ones(H, W, dtype=torch.bool) if known is None else known
    expected = dist.LogNormal(1.5, 0.75).log_prob(v["r"]).sum()
    for channel, bg, amplitude in zip(CHANNELS, v["bg"], v["amplitude"], strict=True):
        image = render(*place, amplitude, bg[0], (H, W), kernel="reference")
        expected = expected + dist.Normal(image, NOISE).log_prob(channel)[seen].sum()
    torch.testing.assert_close(density(CHANNELS, v, with_val, known), expected, rtol=1e-9, atol=1e-9)


def test_one_channel_of_several_is_that_channel_alone() -> None:
    several = sites(1)
    alone = several | {"bg": several["bg"][0, 0], "amplitude": several["amplitude"][0]}
    torch.testing.assert_close(density(CHANNELS[:1], several, True, None), density(CHANNELS[0], alone, True, None))


def test_what_is_unknown_has_no_say() -> None:
    v, other = sites(3), CHANNELS.clone()
    other[:, ~KNOWN] = 77.0
    assert torch.equal(density(CHANNELS, v, True, KNOWN), density(other, v, True, KNOWN))
    assert not torch.equal(density(CHANNELS, v, True, None), density(other, v, True, None))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_refused_in_a_line(dtype: torch.dtype) -> None:
    with pytest.raises(ValueError, match=rf"the channel is {dtype}, .*; make it float32") as refused:
        channel_fit(W, H, N, CHANNELS[0].to(dtype), NOISE)
    assert "\n" not in str(refused.value)


def test_shapes_that_fit_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected \(h, w\) = \(20, 24\), or \(C, h, w\)"):
        channel_fit(W, H, N, CHANNELS[None], NOISE)
    with pytest.raises(ValueError, match=r"known has shape \(24, 20\) and type torch.bool"):
        channel_fit(W, H, N, CHANNELS, NOISE, known=KNOWN.T)
    with pytest.raises(ValueError, match=r"of bool"):
        channel_fit(W, H, N, CHANNELS, NOISE, known=KNOWN.double())
