"""Kinds of droplets as a Pyro model: its density in closed form, and stock Pyro on it."""

import numpy as np
import pyro
import pytest
import torch
from pyro import poutine
from pyro.infer import MCMC, NUTS, SVI, Predictive, Trace_ELBO
from pyro.infer.autoguide import AutoNormal
from scipy import stats

from pyrodrop.models import kinds

N, F, K = 7, 2, 3


def measured() -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    roots = rng.normal(0, 0.2, (N, F, F))
    return torch.tensor(rng.normal(1, 2, (N, F))), torch.tensor(roots @ roots.swapaxes(1, 2))


def parts_of(precision: np.ndarray, psi: np.ndarray) -> dict[str, torch.Tensor]:
    """Values of the sites of these precisions, (..., F, F)."""
    root = np.linalg.cholesky(precision) * np.sqrt(psi)[:, None]
    rows, columns = np.tril_indices(F, -1)
    strength = np.square(np.diagonal(root, axis1=-2, axis2=-1))
    return {"strength": torch.tensor(strength), "below": torch.tensor(root[..., rows, columns])}


def test_the_density_is_the_closed_form() -> None:
    rng = np.random.default_rng(1)
    features, errors = measured()
    presence = rng.uniform(0.3, 1, N)
    share, centre = rng.dirichlet(np.ones(K)), rng.normal(0, 1, (K, F))
    roots = rng.normal(0, 1, (K, F, F))
    precision = roots @ roots.swapaxes(1, 2) + np.eye(F)
    spread = features.numpy().std(0)
    psi = errors.numpy()[:, range(F), range(F)].mean(0) + 1e-6 * spread**2 + 1e-12
    at = {"share": torch.tensor(share), "centre": torch.tensor(centre), **parts_of(precision, psi)}
    model = poutine.condition(kinds, at)
    got = poutine.trace(model).get_trace(features, errors, K, torch.tensor(presence)).log_prob_sum()

    x = features.numpy()
    expected = stats.dirichlet(np.ones(K)).logpdf(share) + stats.norm(x.mean(0), 3 * spread).logpdf(centre).sum()
    expected += sum(stats.wishart(F + 2, np.diag(1 / psi)).logpdf(each) for each in precision)
    # The density of the sites is that of the matrix times the derivative of the one by the other.
    expected += sum((F - 1 - a) * np.log(row[a]) / 2 for row in at["strength"].numpy() for a in range(F))
    expected -= K * (F + 1) / 2 * np.log(psi).sum()
    for i in range(N):
        each = [
            share[k] * stats.multivariate_normal(centre[k], np.linalg.inv(precision[k]) + errors[i].numpy()).pdf(x[i])
            for k in range(K)
        ]
        expected += presence[i] * np.log(sum(each))
    assert float(got) == pytest.approx(expected, rel=1e-9)


@pytest.mark.global_rng
def test_stock_inference_runs_on_the_model() -> None:
    pyro.set_rng_seed(0)
    arguments = (*measured(), 2)
    drawn = Predictive(poutine.uncondition(kinds), num_samples=3)(*arguments)
    assert drawn["obs"].shape == (3, N, F)
    with pyro.get_param_store().scope():
        svi = SVI(kinds, AutoNormal(kinds), pyro.optim.Adam({"lr": 0.01}), Trace_ELBO())
        assert np.isfinite([svi.step(*arguments) for _ in range(3)]).all()
    mcmc = MCMC(NUTS(kinds, max_tree_depth=3), num_samples=3, warmup_steps=3, disable_progbar=True)
    mcmc.run(*arguments)
    assert set(mcmc.get_samples()) == {"share", "centre", "strength", "below"}
    assert all(bool(value.isfinite().all()) for value in mcmc.get_samples().values())


def test_particles_side_by_side_have_the_densities_of_each_alone() -> None:
    features, errors = measured()
    rng = np.random.default_rng(2)
    roots = rng.normal(0, 1, (4, K, F, F))
    at = {
        "share": rng.dirichlet(np.ones(K), 4),
        "centre": rng.normal(0, 1, (4, K, F)),
        **parts_of(roots @ roots.swapaxes(-1, -2) + np.eye(F), np.ones(F)),
    }

    def density(of: dict[str, torch.Tensor], plate: bool) -> torch.Tensor:
        model = poutine.condition(kinds, of)
        if plate:
            with pyro.plate("particles", 4, dim=-2):
                trace = poutine.trace(model).get_trace(features, errors, K)
        else:
            trace = poutine.trace(model).get_trace(features, errors, K)
        trace.compute_log_prob()
        value: torch.Tensor = trace.nodes["obs"]["log_prob"]
        return value

    together = {name: torch.as_tensor(value) for name, value in at.items()}
    together["share"] = together["share"][:, None]
    found = density(together, plate=True).reshape(4, N)
    for row in range(4):
        alone = density({name: torch.as_tensor(value[row]) for name, value in at.items()}, plate=False)
        torch.testing.assert_close(found[row], alone)


@pytest.mark.parametrize(
    ("features", "errors", "number", "words"),
    [
        (torch.zeros(3, 2), torch.zeros(3, 2, 2), 0, "n_kinds is 0"),
        (torch.zeros(3, 2), torch.zeros(3, 2), 1, "one covariance a droplet"),
        (torch.zeros(0, 2), torch.zeros(0, 2, 2), 1, "n_droplets is 0"),
    ],
)
def test_what_is_of_no_kind_is_refused(features: torch.Tensor, errors: torch.Tensor, number: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        kinds(features, errors, number)
