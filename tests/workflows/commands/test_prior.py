"""The pictures of the priors: drawn with NUTS, painted as the post painted them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgba
from skimage import color
from torch import Tensor

from pyrodrop.workflows.commands.prior import RUNS, draw_prior, prior, prior_figure
from pyrodrop.workflows.settings import SettingError

SIZE = (16, 20)


def made_up(draws: int, n: int = 3) -> dict[str, Tensor]:
    u = torch.rand(6, draws, n, generator=torch.Generator().manual_seed(0))
    sites = {"x": 20 * u[0], "y": 16 * u[1], "r": 1 + 3 * u[2], "h": u[3], "s": u[4], "v": u[5]}
    return sites | {"val": torch.rand(draws, *SIZE, generator=torch.Generator().manual_seed(1))}


def test_runs_are_the_posts() -> None:
    assert {name: (warmup, samples) for name, (_, warmup, samples) in RUNS.items()} == {
        "centres": (1000, 100),
        "colours": (1000, 100),
        "rendered": (500, 10),
    }


def test_draws_are_within_the_prior_and_made_by_the_seed() -> None:
    how = {"num_warmup": 5, "num_samples": 6, "device": "cpu", "progress": False}
    draws, again, other = (draw_prior("colours", SIZE, 3, seed=seed, **how) for seed in (1, 1, 2))
    highest = {"x": 20.0, "y": 16.0, "r": float("inf"), "h": 1.0, "s": 1.0, "v": 1.0}
    assert set(draws) == set(highest)
    for site, most in highest.items():
        assert draws[site].shape == (6, 3)
        assert bool(((draws[site] > 0) & (draws[site] < most)).all())
        assert torch.equal(draws[site], again[site])
    assert not torch.equal(draws["x"], other["x"])


def test_files_are_written_and_hold_the_draws(tmp_path: Path) -> None:
    how = {"num_warmup": 2, "num_samples": 3, "device": "cpu", "progress": False}
    said = prior("centres", str(tmp_path), size=SIZE, n_droplets=3, seed=4, **how)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["prior-centres.png", "prior-centres.pt"]
    found = torch.load(said["tensors"], weights_only=True)
    for site, drawn in draw_prior("centres", SIZE, 3, seed=4, **how).items():
        assert torch.equal(found[site], drawn)


def test_centres_are_the_first_five_draws_in_five_colours() -> None:
    draws = made_up(7)
    (ax,) = prior_figure("centres", draws, SIZE).axes
    assert len(ax.collections) == 5
    colours = [tuple(collection.get_facecolor()[0]) for collection in ax.collections]
    assert len(set(colours)) == 5
    assert colours[0] == to_rgba("tab:blue")
    for number, collection in enumerate(ax.collections):
        np.testing.assert_allclose(collection.get_offsets()[:, 0], draws["x"][number], atol=1e-5)
        np.testing.assert_allclose(collection.get_widths() / 2, draws["r"][number], atol=1e-5)


def test_colours_are_the_first_draw_in_its_own_colours() -> None:
    draws = made_up(4)
    (ax,) = prior_figure("colours", draws, SIZE).axes
    (collection,) = ax.collections
    hsv = np.stack([draws[site][0].numpy() for site in "hsv"], -1)
    np.testing.assert_allclose(collection.get_facecolor()[:, :3], color.hsv2rgb(hsv), atol=1e-6)


@pytest.mark.parametrize(("draws", "panels"), [(5, 3), (2, 2)])
def test_rendered_are_the_first_three_draws_inverted(draws: int, panels: int) -> None:
    made = made_up(draws)
    shown = [ax.images[0].get_array() for ax in prior_figure("rendered", made, SIZE).axes if ax.get_title()]
    assert len(shown) == panels
    for array, val in zip(shown, made["val"], strict=False):
        np.testing.assert_allclose(array, 1 - val.numpy(), rtol=1e-6)


def test_an_unknown_prior_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="prior is 'shapes', expected one of centres, colours, rendered"):
        draw_prior("shapes", SIZE)
