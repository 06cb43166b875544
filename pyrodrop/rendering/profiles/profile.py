"""What a profile is: how the height of a droplet falls with the distance from its centre, and all that follows.

A profile is one frozen object. Its height is a function f(q, r, shape) of the squared distance over the squared radius
q; ``shape`` holds the numbers that all droplets of an image share, such as the width of their edge. Whatever else the
package needs to know of a profile (priors, where a droplet ends, how large it looks, fast code) is in the same object.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.rendering.profiles.from_height import half_height_distance, support_distance

Array = NDArray[np.float64]


class ShapeParameter(NamedTuple):
    """One or several numbers that all droplets of an image share, and their prior.

    Attributes:
        name: of the Pyro site, a plain word such as "edge".
        sd, mean: of the prior. It is Normal(mean, sd), of the number or of its logarithm.
        log: whether the number is positive and its logarithm normal: LogNormal(mean, sd).
        entries: how many numbers, independent of each other; None for a site that is a single number.
        bounds: what the joint fit may make of it, in its own units.
        unit: as "px", of the name in tables; empty without one.
    """

    name: str
    sd: float
    mean: float = 0.0
    log: bool = False
    entries: int | None = None
    bounds: tuple[float, float] = (-np.inf, np.inf)
    unit: str = ""

    @property
    def size(self) -> int:
        """How many numbers."""
        return 1 if self.entries is None else self.entries

    @property
    def names(self) -> tuple[str, ...]:
        """What each number is called in tables."""
        stem = f"{self.name}_{self.unit}" if self.unit else self.name
        return (stem,) if self.entries is None else tuple(f"{stem}_{number}" for number in range(self.entries))


class CompiledProfile(NamedTuple):
    """A profile for Numba: plain Python functions of numbers, compiled when a droplet is first drawn.

    They must be what Numba can compile on its own, so they call nothing but ``math``, NumPy and
    ``disc.window_of_edge``.

    Attributes:
        shape: a NamedTuple class of the package or yours, of its own for each profile: what the functions know of the
            shared numbers.
        pack: from the shared numbers, (S,) float64, to such a NamedTuple.
        height: height(squared, r, shape) at a squared distance in px^2.
        point: point(dx, dy, r, shape, out) writes into out, (4 + S,), the height at the offset dx, dy from the centre
            and its derivatives by the centre's x and y, by log r, and by each shared number, of those that are
            ``log`` by the logarithm.
        columns: the same for a whole window, where that is faster: columns(left, top, r, shape, support, out) writes
            into out, (4 + S, rows, columns), what ``point`` says at the offsets left + i, top + j, and zero beyond
            the distance ``support``.
    """

    shape: type[Any]
    pack: Callable[[Array], Any]
    height: Callable[..., float]
    point: Callable[..., None]
    columns: Callable[..., None] | None = None


@dataclass(frozen=True, eq=False)
class Profile:
    """How the height of a droplet falls from its centre.

    Attributes:
        name: a plain word; of the ``profile`` argument, of files and of the command line.
        height: height(squared, r, shape) in torch: the height at q = distance^2 / r^2, for r in px and shape (..., S),
            which broadcast with q; each number of the result from its own q, r and shape alone. Smooth, at the
            centre too. Used in any dtype, on any device, and differentiated.
        parameters: the numbers in ``shape``, in order, with their priors.
        half_share: distance in radii r at which the height is half of the centre's, where edges are sharp.
        gaussian: whether the height is exp(-q / 2), a product of a row and a column, which kernels can make use of.
        left_out: share of the greatest height beyond which the joint fit takes no notice of a droplet.
        automatic: whether ``measure`` tries it when no profile is named.
        support_px: support_px(r, shape, left_out): the distance in px from which on the height is at most left_out of
            the greatest, for r (N,) and shape (S,) or (N, S), shape (N,). If not given, it is searched for.
        half_radius_px: half_radius_px(r, shape), shape (S,) or (N, S): what ``half_radius`` returns; if not given, it
            is searched for.
        sharp_radius_px: sharp_radius_px(r, shape): what ``sharp_radius`` returns; not given where it is no other.
        other_radius_px: two functions of r and shape as well, for a profile that may be a core in a rim of the other
            sign: where, of core and rim, that ends which ``half_radius`` is not of, as drawn and before optics blur it;
            NaN where there are not both.
        compiled: its code for Numba; without, it is drawn and fitted by torch, slower.
    """

    name: str
    height: Callable[[Tensor, Tensor, Tensor], Tensor]
    parameters: tuple[ShapeParameter, ...] = ()
    half_share: float = 1.0
    gaussian: bool = False
    left_out: float = 1.3e-5
    automatic: bool = False
    support_px: Callable[[Array, Array, float], Array] | None = None
    half_radius_px: Callable[[Array, Array], Array] | None = None
    sharp_radius_px: Callable[[Array, Array], Array] | None = None
    other_radius_px: tuple[Callable[[Array, Array], Array], Callable[[Array, Array], Array]] | None = None
    compiled: CompiledProfile | None = None

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise ValueError(f"the profile's name is {self.name!r}: give a plain word of letters, digits and _.")
        names = [parameter.name for parameter in self.parameters]
        if len(set(names)) != len(names) or not all(name.isidentifier() for name in names):
            raise ValueError(f"profile {self.name!r} has parameters named {names}: give plain words, each once.")
        for parameter in self.parameters:
            if not parameter.sd > 0 or parameter.size < 1:
                raise ValueError(
                    f"parameter {parameter.name!r} of profile {self.name!r} needs an sd and a number of entries > 0."
                )

    @property
    def size(self) -> int:
        """How many numbers ``shape`` has, S."""
        return sum(parameter.size for parameter in self.parameters)

    @property
    def shape_names(self) -> tuple[str, ...]:
        """What each of them is called in tables, as edge_px or curve_0, (S,)."""
        return tuple(name for parameter in self.parameters for name in parameter.names)

    @property
    def log(self) -> NDArray[np.bool_]:
        """Which of them are positive, with a logarithm that is normal, (S,)."""
        return np.repeat([p.log for p in self.parameters], [p.size for p in self.parameters]).astype(bool)

    @property
    def prior_mean(self) -> Array:
        """Means of their normal priors, of the logarithm where ``log``, (S,)."""
        return np.repeat([p.mean for p in self.parameters], [p.size for p in self.parameters]).astype(np.float64)

    @property
    def prior_sd(self) -> Array:
        """Standard deviations of these, (S,)."""
        return np.repeat([p.sd for p in self.parameters], [p.size for p in self.parameters]).astype(np.float64)

    @property
    def unconstrained_bounds(self) -> tuple[Array, Array]:
        """Least and greatest value of each, of the logarithm where ``log``, (S,) both."""
        low, high = (
            np.repeat([p.bounds[end] for p in self.parameters], [p.size for p in self.parameters]) for end in (0, 1)
        )
        return self.unconstrained(np.where(self.log, np.maximum(low, 0.0), low)), self.unconstrained(high)

    @property
    def initial_shape(self) -> Array:
        """Medians of their priors, (S,)."""
        return self.constrained(self.prior_mean)

    def constrained(self, numbers: Array) -> Array:
        """``shape`` of numbers that are logarithms where ``log``, (S,) or (N, S)."""
        shape = np.array(numbers, dtype=np.float64)
        shape[..., self.log] = np.exp(shape[..., self.log])
        return shape

    def unconstrained(self, shape: Array) -> Array:
        """The inverse of ``constrained``, (S,) or (N, S)."""
        numbers = np.array(shape, dtype=np.float64)
        with np.errstate(divide="ignore"):
            numbers[..., self.log] = np.log(numbers[..., self.log])
        return numbers

    def support(self, r: Array, shape: Array, left_out: float) -> Array:
        """Distance in px from which on the height is at most left_out of the greatest; r (N,), shape (S,), to (N,)."""
        if self.support_px is None:
            return support_distance(self.height_at, np.asarray(r, np.float64), shape, left_out)
        with np.errstate(all="ignore"):  # a radius that is no number draws nothing
            return np.asarray(self.support_px(np.asarray(r, np.float64), shape, left_out), np.float64)

    def half_radius(self, r: Array, shape: Array) -> Array:
        """Distance in px at which a droplet's height, as drawn, falls to half: the radius that a person reads.

        Args:
            r: radii in px, shape (N,).
            shape: the numbers that all droplets share, shape (S,), or those of each, (N, S).

        Returns:
            Shape (N,).
        """
        r = np.asarray(r, dtype=np.float64)
        if self.half_radius_px is None:
            return half_height_distance(self.height_at, r, shape)
        return np.asarray(self.half_radius_px(r, np.asarray(shape, dtype=np.float64)), np.float64)

    def sharp_radius(self, r: Array, shape: Array) -> Array:
        """Distance in px at which the height falls to half before optics blur the edge; as ``half_radius`` else."""
        if self.sharp_radius_px is None:
            return self.half_radius(r, shape)
        return np.asarray(self.sharp_radius_px(np.asarray(r, np.float64), np.asarray(shape, np.float64)), np.float64)

    def outlines(self, r: Array, shape: Array) -> tuple[Array, Array]:
        """All that may be a droplet's outline: as drawn, and before optics blur it, px, (K, N) each.

        First the radius of half height; where the profile is a core in a rim, then the end of the other of the two.
        """
        drawn, sharp = [self.half_radius(r, shape)], [self.sharp_radius(r, shape)]
        if self.other_radius_px is not None and len(r):
            other, sharp_other = (of(np.asarray(r, np.float64), shape) for of in self.other_radius_px)
            if np.isfinite(other).all() and np.isfinite(sharp_other).all():
                drawn.append(other)
                sharp.append(sharp_other)
        return np.array(drawn), np.array(sharp)

    def height_at(self, distance: Array, r: Array, shape: Array) -> Array:
        """The height at distances in px, (N, K), of droplets of radius r (N,), in float64; shape (S,) or (N, S)."""
        radius = torch.from_numpy(np.array(r, dtype=np.float64))[:, None]
        squared = (torch.from_numpy(np.array(distance, dtype=np.float64)) / radius).square()
        numbers = torch.from_numpy(np.array(shape, dtype=np.float64))
        return np.asarray(self.height(squared, radius, numbers if numbers.ndim == 1 else numbers[:, None]).numpy())
