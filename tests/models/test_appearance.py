"""Droplets as they look, as a Pyro model: its density in closed form, and stock Pyro on it."""

import numpy as np
import pyro
import pytest
import torch
from numpy.typing import NDArray
from pyro import poutine
from pyro.infer import MCMC, NUTS, SVI, Predictive, Trace_ELBO
from pyro.infer.autoguide import AutoNormal
from scipy import stats
from scipy.interpolate import BSpline

from pyrodrop.models import appearance
from pyrodrop.models.bspline_background import spline_basis
from pyrodrop.models.prior_scales import PriorScales
from pyrodrop.rendering.appearance import COEFFICIENTS, HIGHEST, PIECES, whitening
from pyrodrop.rendering.profiles import disc

Array = NDArray[np.float64]
SIZE, N, K = (20, 26), 3, 2


def prior_scales(count: int) -> PriorScales:
    return PriorScales(*(np.full(count, v) for v in (0.7, 0.3, 0.4, 0.05)), 4.0, 12.0)


def sites(count: int, in_colour: bool) -> dict[str, torch.Tensor]:
    """A place in the model's latent space."""
    g = np.random.default_rng(0)
    grid = tuple(spline_basis(side, 12.0).shape[1] for side in SIZE)
    made = {
        "x": g.uniform(0, SIZE[1] - 1, N),
        "y": g.uniform(0, SIZE[0] - 1, N),
        "r": g.uniform(2, 6, N),
        "edge": np.array(0.8),
        "weights": g.normal(0, 0.3, (N, K) if in_colour else (count, N, K)),
        "pictures": g.normal(0, 1, (K, count, COEFFICIENTS) if in_colour else (K, COEFFICIENTS)),
        "bg": g.normal(0.2, 0.1, (count, *grid)),
        "noise": g.uniform(0.05, 0.1, count),
    }
    return {name: torch.tensor(value) for name, value in made.items()}


def picture(coefficients: Array, x: float, y: float, r: float, edge: float) -> Array:
    """A picture drawn by the formula: angles, SciPy's splines, every pixel."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    u, v = (columns - x) / r, (rows - y) / r
    q, t = u**2 + v**2, np.arctan2(v, u)
    spline = BSpline(np.arange(-3.0, PIECES + 4) / PIECES, np.eye(PIECES + 3), 3)(np.minimum(q, 1))
    a = (whitening() @ coefficients).reshape(1 + 2 * HIGHEST, PIECES + 3)
    size = np.sqrt(np.minimum(q, 1))
    angular = [np.ones_like(q)]
    for m in range(1, HIGHEST + 1):
        angular += [size**m * np.cos(m * t), size**m * np.sin(m * t)]
    height = disc.height(torch.tensor(q), torch.tensor(r), torch.tensor([edge])).numpy()
    return np.asarray(height * sum(f * (spline @ row) for f, row in zip(angular, a, strict=True)))


@pytest.mark.parametrize(("count", "in_colour"), [(1, False), (3, False), (3, True)])
def test_the_density_is_the_closed_form(count: int, in_colour: bool) -> None:
    channels = np.random.default_rng(1).normal(0.3, 0.2, (count, *SIZE))
    at = sites(count, in_colour)
    image = torch.tensor(channels if count > 1 else channels[0])
    trace = poutine.trace(poutine.condition(appearance, at)).get_trace(image, N, K, prior_scales(count), in_colour)
    v = {name: value.numpy() for name, value in at.items()}
    expected = -N * np.log(SIZE[0] * SIZE[1]) + stats.lognorm(1, scale=4.0).logpdf(v["r"]).sum()
    expected += stats.norm(0, 1 if in_colour else 0.7).logpdf(v["weights"]).sum()
    expected += stats.norm(0, 1).logpdf(v["pictures"]).sum() + stats.norm(0.3, 0.4).logpdf(v["bg"]).sum()
    expected += stats.lognorm(2, scale=0.05).logpdf(v["noise"]).sum() + stats.lognorm(0.75).logpdf(v["edge"])
    down, along = (spline_basis(side, 12.0) for side in SIZE)
    for c in range(count):
        drawn = down @ v["bg"][c] @ along.T
        for n in range(N):
            for k in range(K):
                own = 0.7 * v["pictures"][k, c] if in_colour else v["pictures"][k]
                weight = v["weights"][n, k] if in_colour else v["weights"][c, n, k]
                drawn = drawn + weight * picture(own, v["x"][n], v["y"][n], v["r"][n], 0.8)
        expected += stats.norm(drawn, v["noise"][c]).logpdf(channels[c]).sum()
    # Far beyond the rim the formula still has a hair of height, which is not drawn.
    assert float(trace.log_prob_sum()) == pytest.approx(expected, rel=1e-4)


@pytest.mark.global_rng
@pytest.mark.parametrize("in_colour", [False, True])
def test_predictive_draws_images_from_the_prior(in_colour: bool) -> None:
    pyro.set_rng_seed(0)
    model = poutine.uncondition(appearance)
    drawn = Predictive(model, num_samples=3)(torch.zeros(2, *SIZE), N, K, prior_scales(2), in_colour)
    assert drawn["obs"].shape[-3:] == (2, *SIZE)
    assert drawn["x"].numel() == 3 * N
    assert bool(drawn["obs"].isfinite().all())


@pytest.mark.global_rng
@pytest.mark.parametrize("given", [(), ("x", "y", "r", "weights"), ("edge", "pictures", "bg")], ids=str)
@pytest.mark.parametrize("in_colour", [False, True])
def test_particles_side_by_side_have_the_densities_of_each_alone(given: tuple[str, ...], in_colour: bool) -> None:
    """Also where some sites are given one value for all particles."""
    channels = torch.tensor(np.random.default_rng(1).normal(0.3, 0.2, (2, *SIZE)))
    alike = sites(2, in_colour)
    model = poutine.condition(appearance, {name: value for name, value in alike.items() if name in given})
    arguments = (channels, N, K, prior_scales(2), in_colour)
    pyro.set_rng_seed(0)
    with pyro.plate("particles", 4, dim=-3):
        together = poutine.trace(model).get_trace(*arguments)
    together.compute_log_prob()
    found = together.nodes["obs"]["log_prob"].reshape(4)
    for row in range(4):
        data = {
            name: together.nodes[name]["value"][row].reshape(own.shape)
            for name, own in alike.items()
            if not together.nodes[name]["is_observed"]
        }
        alone = poutine.trace(poutine.condition(model, data)).get_trace(*arguments)
        alone.compute_log_prob()
        assert float(found[row]) == pytest.approx(float(alone.nodes["obs"]["log_prob"]), rel=1e-9)


@pytest.mark.global_rng
@pytest.mark.parametrize("shape", [(14, 16), (2, 14, 16)])
@pytest.mark.parametrize("in_colour", [False, True])
def test_stock_svi_and_nuts_run_on_the_model(shape: tuple[int, ...], in_colour: bool) -> None:
    """Pyro's own inference finds every site and a finite density: no gradient is missing."""
    image = torch.randn(shape, generator=torch.Generator().manual_seed(0)).double() * 0.05 + 0.2
    pyro.set_rng_seed(0)
    arguments = (image, 2, 1, None, in_colour)
    with pyro.get_param_store().scope():
        guide = AutoNormal(appearance)
        svi = SVI(appearance, guide, pyro.optim.Adam({"lr": 0.01}), Trace_ELBO())
        losses = [svi.step(*arguments) for _ in range(3)]
    assert np.isfinite(losses).all()
    mcmc = MCMC(NUTS(appearance, max_tree_depth=3), num_samples=3, warmup_steps=3, disable_progbar=True)
    mcmc.run(*arguments)
    drawn = mcmc.get_samples()
    assert set(drawn) == {"x", "y", "r", "edge", "weights", "pictures", "bg", "noise"}
    assert all(bool(value.isfinite().all()) for value in drawn.values())


def test_pixels_that_are_not_known_say_nothing() -> None:
    at, image = sites(1, False), torch.zeros(SIZE, dtype=torch.float64)
    known = torch.ones(SIZE, dtype=torch.bool)
    known[:5] = False
    spoilt = image.clone()
    spoilt[:5] = 1e3
    densities = [
        poutine.trace(poutine.condition(appearance, at))
        .get_trace(each, N, K, prior_scales(1), known=known)
        .log_prob_sum()
        for each in (image, spoilt)
    ]
    assert densities[0] == densities[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((torch.zeros(4), 1), "give .H, W. or .C, H, W."),
        ((torch.zeros(9, 9, dtype=torch.int64), 1), "of floats"),
        ((torch.zeros(9, 9), 1, 0), "n_pictures is 0"),
        ((torch.zeros(9, 9), 0), "n_droplets is 0"),
    ],
)
def test_what_cannot_be_drawn_is_refused(arguments: tuple[object, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        appearance(*arguments)  # type: ignore[arg-type]  # what is refused
