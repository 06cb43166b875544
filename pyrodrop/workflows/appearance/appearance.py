"""What a fit of droplets as they look leaves: circles, weights and pictures, each with how sure it is."""

import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.joint.pyro_sites import background_of
from pyrodrop.rendering.appearance import COEFFICIENTS, draw_appearances, smooth_parts
from pyrodrop.results.storage.checkpoint import CheckpointError, load_state, save_state

if TYPE_CHECKING:
    import pandas as pd

KIND = "pyrodrop appearance"
_WITH_SD = ("pictures", "weights", "places")
_TENSORS = (*_WITH_SD, *(f"{name}_sd" for name in _WITH_SD), "channels", "edge", "bg", "noise")
NEEDS: dict[str, type] = {**dict.fromkeys(_TENSORS, Tensor), "evidence": list, "names": list, "spacing": float}
_Q95 = 1.6448536269514722  # of a normal distribution


@dataclass(frozen=True, eq=False, repr=False)
class Appearance:
    """N droplets drawn with K shared pictures, as ``pyrodrop.fit_appearance`` returns them.

    Attributes:
        channels: the image, (C, H, W), float32. names: of its channels.
        pictures: coefficients of the pictures, (K, C, J) in colour, else (K, 1, J), the one that explains most first;
            of mean square 1 over the disc, and at right angles.
        pictures_sd: their standard deviations; 0 where the pictures were given, frozen.
        weights: of each droplet, (N, K, 1) in colour, else (N, K, C), in units of the image. weights_sd: of these.
        places: x, y and radius of the outline in px, (N, 3). places_sd: of x, y and the log of the radius.
        edge: width of the optics in px, ().
        bg: control points of the background, (C, rows, columns), ``spacing`` px apart.
        noise: standard deviation of a pixel, (C,).
        evidence: log evidence of 1, 2, ... pictures; of given ones, one number.
        converged: whether the last descent had come to its end.
    """

    channels: Tensor
    names: tuple[str, ...]
    pictures: Tensor
    pictures_sd: Tensor
    weights: Tensor
    weights_sd: Tensor
    places: Tensor
    places_sd: Tensor
    edge: Tensor
    bg: Tensor
    noise: Tensor
    spacing: float
    evidence: tuple[float, ...]
    converged: bool

    @cached_property
    def background(self) -> Tensor:
        """The smooth background, (C, H, W)."""
        height, width = self.channels.shape[1:]
        return background_of({"bg": self.bg}, (height, width), self.spacing).float()

    @cached_property
    def prediction(self) -> Tensor:
        """The image that the model says, (C, H, W)."""
        height, width = self.channels.shape[1:]
        x, y, r = self.places.unbind(1)
        drawn = draw_appearances(x, y, r, self.edge, self.weights, self.pictures, (height, width))
        return self.background + drawn.float()

    @property
    def residual(self) -> Tensor:
        """Channels less all that the model says, (C, H, W)."""
        return self.channels - self.prediction

    @property
    def explained(self) -> float:
        """Share of the variance about the background that the droplets explain, over all channels."""
        about = (self.channels - self.background).double().square().sum()
        return float(1 - self.residual.double().square().sum() / about) if about > 0 else 0.0

    @property
    def table(self) -> "pd.DataFrame":
        """One row per droplet: centre and radius of its outline with intervals, and its weights with deviations."""
        import pandas as pd

        columns: dict[str, NDArray[np.float64]] = {}
        x, y, r = self.places.double().numpy().T
        sds = self.places_sd.double().numpy().T
        for name, mean, sd in zip(("x_px", "y_px"), (x, y), sds, strict=False):
            columns |= {name: mean, f"{name}_sd": sd, f"{name}_q05": mean - _Q95 * sd, f"{name}_q95": mean + _Q95 * sd}
        low, high = (r * np.exp(side * _Q95 * sds[2]) for side in (-1, 1))
        columns |= {"radius_px": r, "radius_px_sd": r * sds[2], "radius_px_q05": low, "radius_px_q95": high}
        several = self.weights.shape[2] > 1
        for k in range(self.weights.shape[1]):
            for e in range(self.weights.shape[2]):
                name = f"weight{k + 1}" + (f"_{self.names[e]}" if several else "")
                columns[name] = self.weights[:, k, e].double().numpy()
                columns[f"{name}_sd"] = self.weights_sd[:, k, e].double().numpy()
        table = pd.DataFrame(columns)
        table.insert(0, "id", np.arange(len(table)))
        return table

    def drawn_pictures(self, side: int = 64) -> Tensor:
        """The pictures without their edge, (K, C or 1, side, side), over the square that the disc of radius 1 fits in.

        Beyond the disc they are NaN.
        """
        line = (torch.arange(side, dtype=torch.float64) + 0.5) * 2 / side - 1
        v, u = torch.meshgrid(line, line, indexing="ij")
        drawn = smooth_parts(u, v, self.pictures.double())
        return drawn.masked_fill((u * u + v * v > 1)[..., None, None], torch.nan).permute(2, 3, 0, 1)

    def __repr__(self) -> str:
        n, k, _ = self.weights.shape
        drawn = f"{n} droplets drawn with {k} picture{'s' if k > 1 else ''}"
        return f"Appearance: {drawn}, {100 * self.explained:.1f} % of the variance explained"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything as one file of plain tensors, ``appearance.pt``, which ``pyrodrop.load`` reads."""
        save_state({"kind": KIND, **vars_of(self)}, path)


def vars_of(appearance: Appearance) -> dict[str, Any]:
    """What a file of an appearance holds, beside its kind."""
    own = {name: getattr(appearance, name).detach().cpu().clone() for name in _TENSORS}
    return own | {
        "names": list(appearance.names),
        "spacing": appearance.spacing,
        "evidence": list(appearance.evidence),
        "converged": appearance.converged,
    }


def load_appearance(path: str | os.PathLike[str]) -> Appearance:
    """Read the appearance that ``Appearance.save`` wrote.

    Raises:
        CheckpointError: if the file is missing, damaged or something else.
    """
    state = load_state(path, KIND, NEEDS)
    wrong = _wrong_of(state)
    if wrong:
        raise CheckpointError(f"{path} is damaged: {wrong}; give the appearance.pt that a fit has written")
    parts = {name: state[name] for name in (*_TENSORS, "spacing")}
    return Appearance(
        names=tuple(state["names"]),
        evidence=tuple(state["evidence"]),
        converged=bool(state.get("converged")),
        **parts,
    )


def _wrong_of(state: dict[str, Any]) -> str:
    """What does not belong together in a file, in words; nothing where all does."""
    for name in _TENSORS:
        if not state[name].is_floating_point() or not bool(torch.isfinite(state[name]).all()):
            return f"{name!r} is not of finite numbers"
    if state["channels"].dim() != 3 or state["pictures"].dim() != 3 or state["weights"].dim() != 3:
        return "'channels', 'pictures' or 'weights' have another number of axes"
    count, (k, d, j), (n, of, e) = len(state["channels"]), state["pictures"].shape, state["weights"].shape
    if j != COEFFICIENTS or of != k or (d, e) not in {(1, count), (count, 1)} or len(state["names"]) != count:
        return "its pictures and weights are not of one model"
    shapes = {"pictures_sd": (k, d, j), "weights_sd": (n, k, e), "places": (n, 3), "places_sd": (n, 3), "edge": ()}
    for name, shape in (shapes | {"noise": (count,)}).items():
        if tuple(state[name].shape) != shape:
            return f"{name!r} has shape {tuple(state[name].shape)}, expected {shape}"
    if state["bg"].dim() != 3 or not 1e-3 <= state["spacing"] < float("inf"):
        return "'bg' is no background"
    sides = tuple(max(1, round(side / state["spacing"])) + 3 for side in state["channels"].shape[1:])
    if tuple(state["bg"].shape) != (count, *sides):
        return f"'bg' has shape {tuple(state['bg'].shape)}, expected {(count, *sides)}"
    if not bool((state["places"][:, 2] > 0).all()) or not float(state["edge"]) > 0:
        return "'places' have radii that are not positive"
    return ""
