"""A Pyro model as one flat log density: what NUTS and the fast SVI step stand on.

The model stays the only definition. One trace gives the sites, their supports and shapes; the model then runs
under ``poutine.condition`` on values that are read off one flat unconstrained vector, and the log Jacobians of
the transforms are added (Kucukelbir et al., "Automatic differentiation variational inference", JMLR 2017).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import pyro
import torch
from pyro import poutine
from pyro.infer.autoguide.utils import helpful_support_errors
from pyro.poutine.util import site_is_subsample
from torch import Tensor
from torch.distributions import biject_to
from torch.distributions.transforms import Transform
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils import _pytree as pytree

Model = Callable[..., Any]


class NotFlatError(ValueError):
    """The model has no flat log density; the message says which site or statement is in the way."""


class Site(NamedTuple):
    """A latent site of a model and its place in the flat vector."""

    name: str
    shape: torch.Size
    unconstrained_shape: torch.Size
    start: int
    stop: int
    transform: Transform


@dataclass(frozen=True)
class Density:
    """Log density of a model's latent sites over one flat unconstrained vector of D numbers.

    Attributes:
        model: the Pyro model.
        sites: the latent sites in the order of the model.
        size: D.
        tensors: the tensors among the model's arguments. They are arguments of every graph made from this
            density, so that none of them is baked in.
        dtype, device: of the flat vector.
        by_row: whether each row of flat vectors has tensors of its own; ``tensors`` then have a first dimension, one
            entry a row. See ``side_by_side``.
    """

    model: Model
    sites: tuple[Site, ...]
    size: int
    tensors: tuple[Tensor, ...]
    dtype: torch.dtype
    device: torch.device
    _leaves: tuple[Any, ...]
    _spec: Any
    by_row: bool = False

    def arguments(self, tensors: Sequence[Tensor]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The model's args and kwargs, with ``tensors`` in the places of the tensors among them."""
        return _filled(self._leaves, tensors, self._spec)

    def constrained(self, z: Tensor) -> dict[str, Tensor]:
        """Values of the sites at z of shape (..., D): by name, each of shape (..., *site shape)."""
        return {s.name: s.transform(self._part(z, s)) for s in self.sites}

    def unconstrained(self, values: dict[str, Tensor]) -> Tensor:
        """The flat vector (..., D) of values by name, each of shape (..., *site shape)."""
        parts = []
        for s in self.sites:
            value = torch.as_tensor(values[s.name], dtype=self.dtype, device=self.device)
            batch = value.shape[: value.dim() - len(s.shape)]
            parts.append(s.transform.inv(value).reshape(*batch, s.stop - s.start))
        return torch.cat(parts, -1)

    def stretch(self, z: Tensor) -> Tensor:
        """How far the flat vector moves per unit of each site's value, near z of shape (D,): shape (D,), positive.

        For sites whose transform acts on each number alone, as that of an interval or of positive numbers does.
        """
        parts = []
        for s in self.sites:
            u = self._part(z, s)
            parts.append((-s.transform.log_abs_det_jacobian(u, s.transform(u))).exp().reshape(-1))
        return torch.cat(parts)

    def log_density(self, z: Tensor, *tensors: Tensor) -> Tensor:
        """Log density, with log Jacobians, of each row of z of shape (C, D): shape (C,).

        Runs the Pyro model; it is plain Python, differentiable, and may be traced into a graph.
        ``tensors`` stand for ``self.tensors``; without any, those are used.
        """
        tensors = tensors or self.tensors
        if self.by_row:
            by_row: Tensor = torch.func.vmap(lambda row, *own: self._log_density(row, own))(z, *tensors)
            return by_row
        if z.shape[0] == 1:
            return self._log_density(z[0], tensors)[None]
        mapped: Tensor = torch.func.vmap(lambda row: self._log_density(row, tensors))(z)
        return mapped

    def value_and_grad(self, z: Tensor, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        """Log density (C,) and its gradient (C, D) at z of shape (C, D). May be traced into a graph."""
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            value = self.log_density(z, *tensors)
            (grad,) = torch.autograd.grad(value.sum(), z)
        return value.detach(), grad

    def _part(self, z: Tensor, site: Site) -> Tensor:
        return z[..., site.start : site.stop].reshape(z.shape[:-1] + site.unconstrained_shape)

    def _log_density(self, z: Tensor, tensors: Sequence[Tensor]) -> Tensor:
        values, total = {}, z.new_zeros(())
        for site in self.sites:
            u = self._part(z, site)
            values[site.name] = site.transform(u)
            total = total + site.transform.log_abs_det_jacobian(u, values[site.name]).sum()
        args, kwargs = self.arguments(tensors)
        # Validation reads values, which a graph has none of; the check at the start of a run is made by capture(). What
        # the model makes of numbers, as bounds of a prior, is to be where its values are.
        with pyro.validation_enabled(False), self.device:
            trace = poutine.trace(poutine.condition(self.model, data=values)).get_trace(*args, **kwargs)
            return total + trace.log_prob_sum()


def flatten(
    model: Model,
    args: Sequence[Any] = (),
    kwargs: dict[str, Any] | None = None,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Density:
    """The flat log density of a Pyro model whose latent sites are all continuous.

    Args:
        model: a Pyro model.
        args, kwargs: what it is called with.
        dtype, device: of the flat vector; the floating tensors among the arguments are brought to them.

    Raises:
        NotFlatError: for discrete sites, subsampled plates and ``pyro.param``.
    """
    device = torch.device(device)
    leaves, spec = pytree.tree_flatten((tuple(args), dict(kwargs or {})))
    tensors = tuple(
        leaf.to(device, dtype if leaf.is_floating_point() else leaf.dtype)
        for leaf in leaves
        if isinstance(leaf, Tensor)
    )
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), pyro.get_param_store().scope(), device:
        args, kwargs = _filled(leaves, tensors, spec)
        trace = poutine.trace(model).get_trace(*args, **kwargs)
    sites: list[Site] = []
    nodes: dict[str, Any] = dict(trace.nodes)
    for name, node in nodes.items():
        if node["type"] == "param":
            raise NotFlatError(f"the model calls pyro.param({name!r}); a flat density has latent sites only")
        if node["type"] != "sample":
            continue
        if site_is_subsample(node):
            if node["value"].numel() != node["fn"].size:
                raise NotFlatError(f"plate {name!r} is subsampled; give the model the whole data")
            continue
        if node["is_observed"]:
            continue
        sites.append(_site(name, node, sites[-1].stop if sites else 0))
    if not sites:
        raise NotFlatError("the model has no latent sites")
    return Density(model, tuple(sites), sites[-1].stop, tensors, dtype, device, tuple(leaves), spec)


def _filled(leaves: Sequence[Any], tensors: Sequence[Tensor], spec: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Args and kwargs of a model, with ``tensors`` in the places of the tensors among the leaves."""
    rest = iter(tensors)
    args, kwargs = pytree.tree_unflatten([next(rest) if isinstance(leaf, Tensor) else leaf for leaf in leaves], spec)
    return args, kwargs


def side_by_side(densities: Sequence[Density]) -> Density:
    """Densities of one model that differ in their tensors alone, as one: row by row of z (C, D), each has its own.

    Args:
        densities: C of them, one a row; the same one may come several times.

    Raises:
        ValueError: if they differ in more than what their tensors hold.
    """
    first = densities[0]
    for other in densities[1:]:
        same = (first.model, first.dtype, first.device) == (other.model, other.dtype, other.device)
        same = same and first._spec == other._spec
        if not (same and all(map(_alike, first._leaves, other._leaves))):
            raise ValueError("densities side by side must have one model and arguments that differ in values alone")
    tensors = tuple(torch.stack(rows) for rows in zip(*(density.tensors for density in densities), strict=True))
    return replace(first, tensors=tensors, by_row=True)


def _alike(first: Any, other: Any) -> bool:
    if isinstance(first, Tensor) and isinstance(other, Tensor):
        return first.shape == other.shape
    return type(first) is type(other) and bool(first == other)


def _site(name: str, node: dict[str, Any], start: int) -> Site:
    with helpful_support_errors(node):
        support = node["fn"].support
    if support.is_discrete:
        raise NotFlatError(f"site {name!r} is discrete ({type(node['fn']).__name__}); sum it out or use plain Pyro")
    transform = biject_to(support)
    shape = torch.Size(node["value"].shape)
    unconstrained = torch.Size(transform.inverse_shape(shape))
    return Site(name, shape, unconstrained, start, start + unconstrained.numel(), transform)


def capture(function: Callable[..., Any], *example: Tensor) -> Callable[..., Any]:
    """One graph of a function of tensors, traced at an example, so that Python is paid for once.

    Args:
        function: takes and returns tensors; may call ``Density.value_and_grad``.
        example: arguments of the right shapes. No two of them may be the same object: tracing would silently
            take them for one, so they are cloned here.
    """
    graph = make_fx(function)(*(t.clone() for t in example))
    # What a model draws for people to look at, such as ``val``, is no part of what is asked for here.
    graph.graph.eliminate_dead_code()
    graph.recompile()
    captured: Callable[..., Any] = graph
    return captured


def check(density: Density, captured: Callable[..., tuple[Tensor, Tensor]], seed: int = 0) -> None:
    """Hold a captured ``value_and_grad`` of one row against Pyro's own at a random point.

    Raises:
        NotFlatError: if they differ, which is what control flow that depends on values looks like.
    """
    generator = torch.Generator().manual_seed(seed)
    z = torch.empty(1, density.size, dtype=torch.float64).uniform_(-2.0, 2.0, generator=generator)
    z = z.to(density.dtype).to(density.device)
    agree(captured(z, *density.tensors), density.value_and_grad(z))


def agree(captured: tuple[Tensor, Tensor], own: tuple[Tensor, Tensor]) -> None:
    """Hold a captured value and gradient against the model's own.

    Raises:
        NotFlatError: if they differ.
    """
    (value, grad), (own_value, own_grad) = captured, own
    tolerance = 1e-3 if value.dtype == torch.float32 else 1e-8
    scale = own_grad.abs().max().clamp(min=1.0)
    if not (
        torch.allclose(value, own_value, rtol=tolerance, atol=tolerance)
        and bool(((grad - own_grad).abs() <= tolerance * scale).all())
    ):
        raise NotFlatError(
            "the captured density differs from the model's: does the model branch on the values of its sites?"
        )
