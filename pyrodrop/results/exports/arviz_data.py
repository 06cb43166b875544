"""Draws as ArviZ knows them, and as NetCDF: for everyone's own diagnostics. Needs the extra ``bayes``."""

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.results.storage.atomic_write import atomic_write

Named = dict[str, tuple[tuple[str, ...], NDArray[Any]]]

# Sites of the post's models that are images, whatever their size.
_IMAGES = ("val", "diff", "obs")
_UNITS = {"x": "widths of the image", "y": "heights of the image", "r": "px"}
_UNITS |= dict.fromkeys(("x_px", "y_px", "radius_px", "sigma_px"), "px")


class ResultWithDraws(Protocol):
    """A fit or a measurement, which knows its draws and what was observed, (H, W) or (C, H, W)."""

    def arviz_draws(self) -> tuple[Mapping[str, Tensor], Tensor]: ...


def to_arviz(
    draws: Mapping[str, Tensor] | ResultWithDraws,
    *,
    num_chains: int | None = None,
    observed: Tensor | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> Any:
    """Draws as ArviZ's ``InferenceData`` or, from ArviZ 1 on, as the ``xarray.DataTree`` that took its place.

    Args:
        draws: by site name, (draws, *site shape), or (chains, draws, *site shape): what ``Fit.latent``,
            ``Fit.sample``, ``Fit.nuts`` and ``pyrodrop.sample_nuts`` return, and ``Measurement.draws``. Or a fit or a
            measurement itself, which brings what was observed.
        num_chains: the number of chains in the first dimension; 1 says that there is no such dimension. Draws of
            ``sample_nuts`` know it themselves, others are taken for one chain.
        observed: what was fitted, (H, W) or channels (C, H, W); it becomes ``obs`` in the group ``observed_data``.
        attributes: numbers and words to keep with the draws.

    Returns:
        The group ``posterior`` with dimensions chain, draw and, for sites of one number a droplet, droplet, which
        counts as ``id`` of the table does; of several numbers a droplet, (C, N), channel, too; images of each draw,
        such as ``val``, in ``posterior_predictive`` with y and x; for draws of NUTS the number of leapfrog steps in
        ``sample_stats``. Where a unit is known, a variable has the attribute ``units``.

    Raises:
        ModuleNotFoundError: without the extra ``bayes``.
        ValueError: if there are no draws, or their shapes do not go together.

    Example:
        >>> import torch, pyrodrop
        >>> data = pyrodrop.to_arviz({"bg": torch.zeros(50), "r": torch.ones(50, 3)})
        >>> dict(data["posterior"]["r"].sizes)
        {'chain': 1, 'draw': 50, 'droplet': 3}
    """
    arviz = _arviz()
    import xarray

    if not isinstance(draws, Mapping):
        draws, own = draws.arviz_draws()
        observed = own if observed is None else observed
    stats = getattr(draws, "stats", None)
    chains = getattr(stats, "num_chains", 1) if num_chains is None else num_chains
    values = {name: _by_chain(name, value, chains) for name, value in draws.items()}
    if not values or len({value.shape[:2] for value in values.values()}) != 1:
        shapes = {name: tuple(value.shape) for name, value in draws.items()}
        raise ValueError(f"draws have the shapes {shapes}: give at least one site, all with the same chains and draws.")
    groups: dict[str, Named] = {"posterior": {}, "posterior_predictive": {}, "sample_stats": {}, "observed_data": {}}
    droplets = [value.shape[2] for value in values.values() if value.ndim == 3]
    for name, value in values.items():
        dimensions = _dimensions(name, value, droplets)
        group = "posterior" if value.ndim < 4 or "droplet" in dimensions else "posterior_predictive"
        groups[group][name] = (("chain", "draw", *dimensions), value)
    leapfrog = getattr(stats, "leapfrog_steps", None)
    n_chains, n_draws = next(iter(values.values())).shape[:2]
    if leapfrog is not None and leapfrog.dim() == 2 and len(leapfrog) == n_chains and leapfrog.shape[1] >= n_draws:
        groups["sample_stats"]["n_steps"] = (("chain", "draw"), leapfrog[:, -n_draws:].cpu().numpy())
    if observed is not None:
        pixels = observed.detach().cpu().numpy()
        if pixels.ndim not in (2, 3):
            raise ValueError(f"observed has shape {pixels.shape}: give (H, W) or (C, H, W).")
        groups["observed_data"]["obs"] = (("channel", "y", "x")[-pixels.ndim :], pixels)
    datasets = {
        name: xarray.Dataset(variables, coords=_coordinates(variables))
        for name, variables in groups.items()
        if variables
    }
    for dataset in datasets.values():
        for variable in set(dataset.data_vars) & set(_UNITS):
            dataset[variable].attrs["units"] = _UNITS[str(variable)]
    all_attributes = {"inference_library": "pyrodrop", **_sampler_attributes(stats), **(attributes or {})}
    datasets["posterior"] = datasets["posterior"].assign_attrs(all_attributes)
    if int(arviz.__version__.split(".")[0]) < 1:
        return arviz.InferenceData(**datasets)
    return xarray.DataTree.from_dict(datasets)


def write_netcdf(data: Any, path: str | os.PathLike[str]) -> None:
    """Write what ``to_arviz`` returned as NetCDF; ``arviz.from_netcdf`` reads it. It appears whole or not at all."""

    def write(temporary: Path) -> None:
        temporary.unlink()  # ArviZ 0.23 adds to a file that is there
        data.to_netcdf(str(temporary), engine="h5netcdf")

    atomic_write(path, write)


def _arviz() -> ModuleType:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # that there is a next version is no news to the caller
            import arviz
    except ModuleNotFoundError as error:
        advice = 'ArviZ is not installed; pip install "pyrodrop[bayes]" brings it'
        raise ModuleNotFoundError(advice, name=error.name) from error
    return arviz


def _by_chain(name: str, value: Tensor, chains: int) -> NDArray[Any]:
    array = np.asarray(value.detach().cpu().numpy())
    array = array[None] if chains == 1 else array
    if array.ndim < 2 or array.shape[0] != chains:
        raise ValueError(
            f"{name} has shape {tuple(value.shape)}, which has not {chains} chains in its first dimension."
        )
    return array


def _dimensions(name: str, value: NDArray[Any], droplets: list[int]) -> tuple[str, ...]:
    """Names of the dimensions of a site."""
    shape = value.shape[2:]
    if len(shape) == 2 and name not in _IMAGES and droplets and shape[1] == droplets[0]:
        return ("channel", "droplet")
    if len(shape) == 1:
        return ("droplet",) if shape[0] == droplets[0] else (f"{name}_dim",)
    return ("y", "x") if len(shape) == 2 else tuple(f"{name}_dim_{number}" for number in range(len(shape)))


def _coordinates(variables: Named) -> dict[str, NDArray[np.int64]]:
    sizes = {name: size for names, value in variables.values() for name, size in zip(names, value.shape, strict=True)}
    return {name: np.arange(size) for name, size in sizes.items()}


def _sampler_attributes(stats: Any) -> dict[str, Any]:
    names = ("num_warmup", "step_size", "mean_acceptance", "divergences", "at_max_depth")
    return {name: getattr(stats, name) for name in names if hasattr(stats, name)}
