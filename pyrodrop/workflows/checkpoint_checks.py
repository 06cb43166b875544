"""What a file of a fit or a measurement has to hold, looked at before any of it is used."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pyrodrop.rendering.profiles import Profile, profile_named
from pyrodrop.workflows.settings import SettingError, Settings, check_settings

# The generators of the CPU and of CUDA have states of so many bytes.
CPU_RANDOM, CUDA_RANDOM = torch.Generator().get_state().numel(), 16
# In unconstrained space. A logit can go far, as that of a droplet that is not needed does; a logarithm can not, and
# no deviation: beyond this a radius is no number of single precision.
_FARTHEST_LOGIT, _FARTHEST = 10_000.0, 50.0
_LEAST_SIDE, _MOST_CHANNELS = 8, 16
_DRAWN = ("x_px", "y_px", "radius_px", "amplitude")
_PLAIN = (int, float, str, bool, type(None))


class Wrong(ValueError):
    """What is wrong with a file, as the end of "it is damaged: "."""


def checked_settings(found: Mapping[Any, Any], device: str) -> Settings:
    """The settings of a fit that goes on on ``device``.

    Raises:
        Wrong: they are not those of a fit.
    """
    names = set(Settings.__dataclass_fields__)
    if set(found) != names:
        raise Wrong(f"its settings are not the {len(names)} of this version")
    if not all(isinstance(value, _PLAIN) for value in found.values()):
        raise Wrong("its settings are no numbers or words")
    if found["n_droplets"] == "auto" or not isinstance(found["births"], bool):
        raise Wrong("its settings are not those of a fit under way")
    if not (found["compiled"] is None or isinstance(found["compiled"], bool)):
        raise Wrong("its setting compiled is neither yes nor no")
    try:
        return check_settings(**{**found, "device": device})
    except SettingError as error:
        raise Wrong(f"{error!s:.200}") from error  # it repeats what was given, which can be a long text


def check_fit(found: Mapping[str, Any], settings: Settings) -> None:
    """See that the entries of a fit belong together: N droplets, R starts, D = 4 N + 1 parameters, T iterations.

    Raises:
        Wrong: a tensor of another shape or type, or numbers that no fit has.
    """
    size = 4 * settings.n_droplets + 1
    params, losses, iteration = found["params"], found["losses"], found["iteration"]
    height, width = _numbers("channel", found["channel"], (torch.float32,), 2)
    if min(height, width) < 2:
        raise Wrong("'channel' has less than 2 x 2 pixels")
    _, starts, _ = _numbers("params", params, (torch.float32,), 3)
    for name in ("params", "first", "second"):
        _numbers(name, found[name], (torch.float32,), 3, (2, starts, size))
    if starts not in (1, settings.restarts):
        raise Wrong(f"'params' are those of {starts} starts, not of {settings.restarts}")
    if not are_of_droplets(params):
        raise Wrong("'params' lie where no droplet is")
    if found["second"].min() < 0:
        raise Wrong("'second' is negative")
    if isinstance(iteration, bool) or not 0 <= iteration < 2**31:
        raise Wrong("'iteration' is no number of iterations")
    if _numbers("losses", losses, (torch.float32,)) not in ((iteration,), (iteration, starts)):
        raise Wrong("'losses' are not one an iteration")
    if losses.dim() == 1 and starts > 1:
        raise Wrong("'losses' are not those of all starts")
    random = found["random"]
    if _numbers("random", random, (torch.uint8,), 1) not in ((CPU_RANDOM,), (CUDA_RANDOM,)):
        raise Wrong("'random' is no state of a generator")
    if len(random) == CPU_RANDOM:
        try:
            torch.Generator().set_state(random)
        except RuntimeError as error:
            raise Wrong("'random' is no state of a generator") from error
    _check_number("seconds", found["seconds"], 0)
    if not (found["settled"] is None or isinstance(found["settled"], bool)):
        raise Wrong("'settled' is neither yes nor no")
    if found["agreement"] is not None:
        _check_agreement(found["agreement"], settings)


def are_of_droplets(params: Tensor) -> bool:
    """Whether the parameters of a fit, (2, R, 4 N + 1), are numbers that droplets can have: a fit can come apart.

    Means come first and then deviations, each of the background, and of x, y, radius and amplitude of N droplets.
    """
    droplets = (params.shape[-1] - 1) // 4
    means, deviations = params
    radii = means[..., 1 + 2 * droplets : 1 + 3 * droplets]
    # NaN is not below anything.
    near = [(numbers.abs() <= _FARTHEST).all() for numbers in (radii, deviations)]
    return all(map(bool, [*near, (means.abs() <= _FARTHEST_LOGIT).all()]))


def _check_agreement(found: Any, settings: Settings) -> None:
    if not isinstance(found, dict) or found.keys() != {"losses", "spread", "agreed"}:
        raise Wrong("'agreement' is not that of several starts")
    if not isinstance(found["losses"], tuple) or len(found["losses"]) != settings.restarts:
        raise Wrong("'agreement' is not that of all starts")
    for loss in found["losses"]:
        _check_number("agreement", loss)
    _check_number("agreement", found["spread"])
    agreed = found["agreed"]
    if isinstance(agreed, bool) or not isinstance(agreed, int) or not 0 <= agreed <= settings.n_droplets:
        raise Wrong("'agreement' is on more droplets than there are")


def check_measurement(found: Mapping[str, Any]) -> None:
    """See that the entries of a measurement belong together: C channels (C, H, W), N droplets, any number of draws.

    Raises:
        Wrong: a tensor of another shape or type, or numbers that no measurement has.
    """
    real = (torch.float32, torch.float64)
    count, height, width = size = _numbers("channels", found["channels"], (torch.float32,), 3)
    if not 1 <= count <= _MOST_CHANNELS or min(height, width) < _LEAST_SIDE:
        raise Wrong("'channels' are too many or too small")
    names, profile, evidence = found["names"], found["profile"], found["evidence"]
    if len(names) != count or not all(isinstance(name, str) for name in names):
        raise Wrong("'names' are not those of the channels")
    if not isinstance(evidence, dict):
        raise Wrong("'evidence' is not that of profiles")
    known = {name: _profile(name) for name in (profile, *evidence)}
    for value in evidence.values():
        _check_number("evidence", value)
    (droplets,) = _numbers("presence", found["presence"], real, 1)
    for name in ("background", "residual"):
        _numbers(name, found[name], real, 3, size)
    for name in ("noise", "reduced_chi_square"):
        _numbers(name, found[name], real, 1, (count,))
    for name in ("shape", "shape_sd"):
        _numbers(name, found[name], real, 1, (known[profile].size,))
    _numbers("at_bound", found["at_bound"], (torch.bool,), 1, (droplets,))
    if not _numbers("losses", found["losses"], real, 1)[0]:
        raise Wrong("'losses' are none")
    _check_draws(found["draws"], count, droplets)
    if not bool(((found["presence"] >= 0) & (found["presence"] <= 1)).all()):
        raise Wrong("'presence' is no probability")
    if not bool((found["noise"] > 0).all()) or not bool((found["reduced_chi_square"] >= 0).all()):
        raise Wrong("'noise' or 'reduced_chi_square' is negative")
    if found["pixel_size_um"] is not None:
        _check_number("pixel_size_um", found["pixel_size_um"], 0)
        if not found["pixel_size_um"]:
            raise Wrong("'pixel_size_um' is 0")
    _check_number("seconds", found["seconds"], 0)
    if isinstance(found["seed"], bool) or not isinstance(found["seed"], int) or not 0 <= found["seed"] < 2**63:
        raise Wrong("'seed' is no seed")


def _profile(name: Any) -> Profile:
    """The profile of that name, or ``Wrong``."""
    try:
        return profile_named(name if isinstance(name, str) else repr(name)[:50])
    except ValueError as error:
        raise Wrong(str(error)[:200].rstrip(".")) from error


def _check_draws(draws: Mapping[Any, Any], channels: int, droplets: int) -> None:
    if set(draws) != set(_DRAWN):
        raise Wrong(f"'draws' are not of {', '.join(_DRAWN)}")
    number = _numbers("draws", draws["x_px"], (torch.float32,), 2)[0]
    if not number:
        raise Wrong("'draws' are none")
    for name in _DRAWN:
        inner = (channels, droplets) if name == "amplitude" else (droplets,)
        _numbers("draws", draws[name], (torch.float32,), None, (number, *inner))
    if droplets and draws["radius_px"].min() <= 0:
        raise Wrong("'draws' have radii that are not positive")
    if droplets and max(draws[name].abs().max() for name in _DRAWN) > 1e9:
        raise Wrong("'draws' lie where no droplet is")


def _numbers(
    name: str,
    tensor: Any,
    types: tuple[torch.dtype, ...],
    axes: int | None = None,
    shape: tuple[int, ...] | None = None,
) -> tuple[int, ...]:
    """The shape of a tensor, which has to be of one of these types and all there, and whose numbers are finite."""
    if not isinstance(tensor, Tensor) or tensor.layout != torch.strided or tensor.device.type != "cpu":
        raise Wrong(f"{name!r} is no plain tensor")
    if tensor.dtype not in types or tensor.requires_grad:
        raise Wrong(f"{name!r} holds numbers of type {str(tensor.dtype).removeprefix('torch.')}")
    held = tuple(tensor.shape)
    if (axes is not None and len(held) != axes) or (shape is not None and held != shape):
        raise Wrong(f"{name!r} has shape {held}" + ("" if shape is None else f", expected {shape}"))
    # A file can claim any shape for the few numbers that it has; strides of zero make them out of one.
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise Wrong(f"{name!r} claims more numbers than the file has")
    if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
        raise Wrong(f"{name!r} has NaN or infinite numbers")
    return held


def _check_number(name: str, value: Any, least: float = -math.inf) -> None:
    if isinstance(value, bool) or not isinstance(value, float | int) or not least <= value < math.inf:
        raise Wrong(f"{name!r} is no number that it can be")
