"""The posterior of a fit: its guide as a Pyro object, and samplers that start from where the guide is."""

import warnings
from collections.abc import Callable
from typing import Any

import pyro
import torch
from pyro.infer.autoguide import AutoNormal
from pyro.infer.autoguide.initialization import init_to_value
from pyro.nn import PyroParam
from torch import Tensor
from torch.distributions import constraints

from pyrodrop.inference.around.sampling import sample_around
from pyrodrop.inference.density import Density
from pyrodrop.inference.laplace import LARGEST, Laplace, laplace
from pyrodrop.inference.modes import search_higher
from pyrodrop.inference.nuts import Draws, sample_nuts
from pyrodrop.workflows.settings import SettingError

# Iterations of each round of the search for a higher mode: some hundred turns of the chains.
_SEARCHED = 100


def guide_of(model: Callable[[], None], density: Density, loc: Tensor, scale: Tensor) -> AutoNormal:
    """The ``AutoNormal`` guide of a model with given means and standard deviations in unconstrained space.

    Args:
        model: with its arguments given.
        density: of the model.
        loc, scale: shape (D,), on the CPU.
    """
    values = density.constrained(loc)
    with torch.random.fork_rng(devices=[]), pyro.get_param_store().scope():
        guide = AutoNormal(model, init_loc_fn=init_to_value(values=values))
        guide()
        # Within the scope: setting a parameter takes the old one of that name out of the store.
        for site in density.sites:
            for store, flat in ((guide.locs, loc), (guide.scales, scale)):
                part = flat[site.start : site.stop].reshape(site.unconstrained_shape).clone()
                constraint = constraints.real if store is guide.locs else guide.scale_constraint
                setattr(store, site.name, PyroParam(part, constraint, len(site.unconstrained_shape)))
    return guide


def posterior_around(density: Density, loc: Tensor, scale: Tensor, *, rounds: int, seed: int, **how: Any) -> Draws:
    """Sample around the highest mode near a guide's means (D,), standard deviations (D,); see ``Fit.posterior``.

    Raises:
        SettingError: for more numbers than a Laplace approximation has.
    """
    if len(loc) > LARGEST:
        raise SettingError(
            f"the posterior has {len(loc):,} numbers, and {LARGEST:,} can be sampled at most, which are "
            f"{(LARGEST - 1) // 4:,} droplets; fit fewer, or a part of the image",
            "posterior",
        )
    mode = _highest_mode(density, loc, scale, rounds, _SEARCHED, how["num_chains"], seed)
    return sample_around(mode, seed=seed, **how)


def _highest_mode(
    density: Density, loc: Tensor, scale: Tensor, rounds: int, iterations: int, num_chains: int, seed: int
) -> Laplace:
    """The approximation around the highest mode that chains of so many iterations find from the guide's."""
    arguments, _ = density.arguments(density.tensors)
    nearest = laplace(density.model, *arguments, initial=loc, scale=scale)
    return search_higher(nearest, num_chains=num_chains, iterations=iterations, rounds=rounds, seed=seed).laplace


def nuts_around(
    density: Density,
    loc: Tensor,
    scale: Tensor,
    num_warmup: int,
    num_samples: int,
    num_chains: int,
    *,
    dense: bool | None,
    rounds: int,
    **how: Any,
) -> Draws:
    """Sample with NUTS from a guide's means (D,) and standard deviations (D,); see ``Fit.nuts``."""
    seed = how.get("seed", 0)
    if dense is None:
        chosen = bool({"initial", "inverse_mass"} & how.keys())
        dense = len(loc) <= LARGEST and not chosen
        if not dense and not chosen:
            warnings.warn(
                f"{len(loc):,} numbers are too many for a dense mass matrix ({LARGEST:,} at most); with a diagonal "
                "one, chains of overlapping or broad droplets hardly move",
                stacklevel=3,
            )
    options: dict[str, Any] = {"deterministic": False} | how
    options |= {"num_warmup": num_warmup, "num_samples": num_samples, "num_chains": num_chains}
    arguments, _ = density.arguments(density.tensors)
    initial: dict[str, Any]
    if dense:
        mode = _highest_mode(density, loc, scale, rounds, max(num_warmup // 2, 1), num_chains, seed)
        # The time goes into the renderer and into products with the covariance: compiling would gain nothing.
        initial = {
            "initial": mode.positions(num_chains, seed),
            "inverse_mass": mode.covariance,
            "compiled": False,
        }
    else:
        generator = torch.Generator().manual_seed(seed)
        eps = torch.randn(num_chains, len(loc), generator=generator, dtype=loc.dtype)
        initial = {"initial": loc + scale * eps, "inverse_mass": scale**2}
    return sample_nuts(density.model, *arguments, **(initial | options))
