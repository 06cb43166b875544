"""The figure of a posterior beside its guide: the ratios of widths, and the number that trades with the background."""

import numpy as np
import torch
from torch import Tensor

from pyrodrop.results.figures.fit_figures import figure
from pyrodrop.results.figures.posterior_figures import posterior_and_guide


def draws(width: float, seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    sites = {name: torch.randn(500, 3, generator=generator) for name in ("x", "y", "r", "amplitude")}
    return {"bg": torch.randn(500, generator=generator)} | {name: 10.0 + width * v for name, v in sites.items()}


def test_it_shows_the_ratios_and_the_number_that_trades_with_the_background() -> None:
    posterior, guide = draws(2.0, 1), draws(1.0, 2)
    posterior["amplitude"][:, 1] = 0.3 - 0.1 * posterior["bg"]
    _, axes = figure(1, 2)
    widths, trade = posterior_and_guide(axes, posterior, guide)
    for collection, name in zip(widths.collections, ("x", "y", "r", "amplitude"), strict=True):
        expected = posterior[name].std(0) / guide[name].std(0)
        np.testing.assert_allclose(np.asarray(collection.get_offsets())[:, 1], expected, rtol=1e-5)
    assert trade.get_ylabel().startswith("amplitude")
    shown = np.asarray(trade.collections[1].get_offsets())
    np.testing.assert_allclose(shown[:, 1], 0.3 - 0.1 * shown[:, 0], rtol=1e-4)
