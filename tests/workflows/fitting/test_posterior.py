"""The posterior of a fit by NUTS: overlapping droplets under a dense mass matrix; too many for one."""

import pytest
import torch
from torch import Tensor

from pyrodrop.rendering import render
from pyrodrop.workflows.fitting.fit import fit
from pyrodrop.workflows.fitting.fit_result import Fit
from pyrodrop.workflows.settings import SettingError

SIZE = (28, 36)
NOISE = 0.02


def overlapping() -> Tensor:
    """Two droplets that share most of their pixels, and a broad one under both."""
    x, y, r = torch.tensor([13.0, 18.0, 20.0]), torch.tensor([13.0, 15.0, 14.0]), torch.tensor([3.0, 3.5, 12.0])
    image = render(x, y, r, torch.tensor([0.5, 0.4, 0.2]), torch.tensor(0.1), SIZE)
    return image + NOISE * torch.randn(SIZE, generator=torch.Generator().manual_seed(0))


def fitted(**settings: object) -> Fit:
    given = {"n_droplets": 3, "error_scale": NOISE, "steps": 300, "progress": False, "births": False}
    return fit(overlapping(), **(given | settings))


def test_overlapping_droplets_converge_with_short_trees_and_are_less_sure_than_the_guide_says() -> None:
    found = fitted()
    draws = found.nuts(150, 500, 4, progress=False)
    # The broad droplet and the background trade, and 2,000 draws of them are worth some 100 independent ones: of chains
    # that have converged, chance alone brings R-hat to 1.02 to 1.06, by the last digits of a processor's arithmetic.
    assert draws.stats.max_r_hat < 1.1
    assert draws.stats.divergences < 40  # of 2,000 draws: radii and amplitudes are not normal
    assert draws.stats.leapfrog_steps[:, 150:].double().mean() <= 20.0
    guide = found.latent(2_000)
    broad = int(guide["r"].mean(0).argmax())
    wider = draws["amplitude"].flatten(0, 1)[:, broad].std() / guide["amplitude"][:, broad].std()
    assert float(wider) > 1.5  # it trades against the background, which a mean-field guide does not know
    for name, truth in (("x", 20.0 / 36), ("y", 14.0 / 28), ("r", 12.0), ("amplitude", 0.2)):
        values = draws[name].flatten(0, 1)[:, broad]
        assert abs(float(values.mean()) - truth) < 4.0 * float(values.std())


def test_too_many_numbers_for_a_dense_mass_matrix_are_said_to_be() -> None:
    many = fitted(n_droplets=1_024, steps=1, start="uniform")
    with pytest.warns(UserWarning, match="4,097 numbers are too many for a dense mass matrix"):
        draws = many.nuts(1, 4, 1, progress=False, max_tree_depth=1)
    assert draws["x"].shape == (4, 1_024)


def test_the_posterior_of_overlapping_droplets_is_known_in_every_number_and_is_that_of_nuts() -> None:
    """Against NUTS, another sampler of the same density."""
    x, y, r = torch.tensor([13.0, 18.0]), torch.tensor([13.0, 15.0]), torch.tensor([3.0, 3.5])
    image = render(x, y, r, torch.tensor([0.5, 0.4]), torch.tensor(0.1), SIZE)
    image = image + NOISE * torch.randn(SIZE, generator=torch.Generator().manual_seed(0))
    found = fit(image, 2, error_scale=NOISE, steps=300, progress=False, births=False)
    draws = found.posterior(progress=False, num_warmup=100)
    assert draws.converged
    assert draws.stats.min_effective >= 400
    slow = found.nuts(100, 200, 4, progress=False)
    for name, values in draws.items():
        one, other = values.flatten(0, 1), slow[name].flatten(0, 1)
        assert bool(((one.mean(0) - other.mean(0)).abs() < 0.3 * one.std(0)).all()), name
        assert bool(((other.std(0) / one.std(0)).log().abs() < 0.25).all()), name


def test_more_droplets_than_can_be_sampled_are_refused_in_a_line() -> None:
    many = fitted(n_droplets=1_024, steps=1, start="uniform")
    with pytest.raises(SettingError, match=r"4,097 numbers, and 4,096 can be sampled at most, which are 1,023"):
        many.posterior(progress=False)
