"""Checks of a saved fit or measurement: that its tensors belong together, before any of them is used."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pyrodrop.rendering.profiles import Profile, profile_named
from pyrodrop.workflows.assumptions import assumptions_as_dict, assumptions_of_dict
from pyrodrop.workflows.fit_settings import FitSettings, fit_settings
from pyrodrop.workflows.settings import SettingError

# The generators of the CPU and of CUDA have states of so many bytes.
CPU_RANDOM, CUDA_RANDOM = torch.Generator().get_state().numel(), 16
# In unconstrained space. A logit can go far, as that of a droplet that is not needed does; a logarithm can not, and
# no deviation: beyond this a radius is no number of single precision.
_FARTHEST_LOGIT, _FARTHEST = 10_000.0, 50.0
_LEAST_SIDE, _MOST_CHANNELS = 8, 16
_DRAWN = ("x_px", "y_px", "radius_px", "amplitude")
# Those of the model that was measured with, but for the profile's own, and what its priors are wide in.
_SITES = ("x", "y", "r", "amplitude", "bg", "noise")
_SCALES = ("amplitude", "level", "spread", "noise")
_PLAIN = (int, float, str, bool, type(None))
# Settings of a fit that are neither number nor word.
_ASSUMED = ("priors", "noise")


class DamagedError(ValueError):
    """What is wrong with a saved file, as a clause."""


def checked_settings(state: Mapping[Any, Any], device: str) -> FitSettings:
    """The settings of a fit that goes on on ``device``.

    Raises:
        DamagedError: they are not those of a fit.
    """
    names = {name for name in FitSettings.__dataclass_fields__ if name not in _ASSUMED}
    try:
        priors, noise = assumptions_of_dict(state)
    except ValueError as error:
        raise DamagedError("its priors or its noise are none") from error
    state = {name: value for name, value in state.items() if name not in ("priors", "noise_family")}
    if set(state) != names:
        raise DamagedError(f"its settings are not the {len(names)} of this version")
    if not all(isinstance(value, _PLAIN) for value in state.values()):
        raise DamagedError("its settings are no numbers or words")
    if state["n_droplets"] == "auto" or not isinstance(state["births"], bool):
        raise DamagedError("its settings are not those of a fit under way")
    if not (state["compiled"] is None or isinstance(state["compiled"], bool)):
        raise DamagedError("its setting compiled is neither yes nor no")
    try:
        return fit_settings(**{**state, "device": device, "priors": priors, "noise": noise})
    except SettingError as error:
        raise DamagedError(f"{error!s:.200}") from error  # it repeats what was given, which can be a long text


def settings_as_dict(settings: FitSettings) -> dict[str, Any]:
    """The settings as ``checked_settings`` takes them."""
    plain = {name: value for name, value in vars(settings).items() if name not in _ASSUMED}
    return plain | assumptions_as_dict(settings.priors, settings.noise)


def check_fit(state: Mapping[str, Any], settings: FitSettings) -> None:
    """See that the entries of a fit belong together: N droplets, R starts, D = 4 N + 1 parameters, T iterations.

    Raises:
        DamagedError: a tensor of another shape or type, or numbers that no fit has.
    """
    size = 4 * settings.n_droplets + 1
    params, losses, iteration = state["params"], state["losses"], state["iteration"]
    height, width = _numbers("channel", state["channel"], (torch.float32,), 2)
    if min(height, width) < 2:
        raise DamagedError("'channel' has less than 2 x 2 pixels")
    _, starts, _ = _numbers("params", params, (torch.float32,), 3)
    for name in ("params", "first", "second"):
        _numbers(name, state[name], (torch.float32,), 3, (2, starts, size))
    if starts not in (1, settings.restarts):
        raise DamagedError(f"'params' are those of {starts} starts, not of {settings.restarts}")
    if not are_of_droplets(params):
        raise DamagedError("'params' lie where no droplet is")
    if state["second"].min() < 0:
        raise DamagedError("'second' is negative")
    if isinstance(iteration, bool) or not 0 <= iteration < 2**31:
        raise DamagedError("'iteration' is no number of iterations")
    if _numbers("losses", losses, (torch.float32,)) not in ((iteration,), (iteration, starts)):
        raise DamagedError("'losses' are not one an iteration")
    if losses.dim() == 1 and starts > 1:
        raise DamagedError("'losses' are not those of all starts")
    random = state["random"]
    if _numbers("random", random, (torch.uint8,), 1) not in ((CPU_RANDOM,), (CUDA_RANDOM,)):
        raise DamagedError("'random' is no state of a generator")
    if len(random) == CPU_RANDOM:
        try:
            torch.Generator().set_state(random)
        except RuntimeError as error:
            raise DamagedError("'random' is no state of a generator") from error
    _check_number("seconds", state["seconds"], 0)
    if not (state["converged"] is None or isinstance(state["converged"], bool)):
        raise DamagedError("'converged' is neither yes nor no")
    if state["agreement"] is not None:
        _check_agreement(state["agreement"], settings)


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


def _check_agreement(state: Any, settings: FitSettings) -> None:
    if not isinstance(state, dict) or state.keys() != {"losses", "spread", "agreed"}:
        raise DamagedError("'agreement' is not that of several starts")
    if not isinstance(state["losses"], tuple) or len(state["losses"]) != settings.restarts:
        raise DamagedError("'agreement' is not that of all starts")
    for loss in state["losses"]:
        _check_number("agreement", loss)
    _check_number("agreement", state["spread"])
    agreed = state["agreed"]
    if isinstance(agreed, bool) or not isinstance(agreed, int) or not 0 <= agreed <= settings.n_droplets:
        raise DamagedError("'agreement' is on more droplets than there are")


def check_measurement(state: Mapping[str, Any]) -> None:
    """See that the entries of a measurement belong together: C channels (C, H, W), N droplets, any number of draws.

    Raises:
        DamagedError: a tensor of another shape or type, or numbers that no measurement has.
    """
    real = (torch.float32, torch.float64)
    count, height, width = size = _numbers("channels", state["channels"], (torch.float32,), 3)
    if not 1 <= count <= _MOST_CHANNELS or min(height, width) < _LEAST_SIDE:
        raise DamagedError("'channels' are too many or too small")
    names, profile, evidence = state["names"], state["profile"], state["evidence"]
    if len(names) != count or not all(isinstance(name, str) for name in names):
        raise DamagedError("'names' are not those of the channels")
    if not isinstance(evidence, dict):
        raise DamagedError("'evidence' is not that of profiles")
    known = {name: _profile(name) for name in (profile, *evidence)}
    for value in evidence.values():
        _check_number("evidence", value)
    (droplets,) = _numbers("presence", state["presence"], real, 1)
    _numbers("residual", state["residual"], real, 3, size)
    _numbers("reduced_chi_square", state["reduced_chi_square"], real, 1, (count,))
    _numbers("shape_sd", state["shape_sd"], real, 1, (known[profile].size,))
    _numbers("at_bounds", state["at_bounds"], (torch.bool,), 1, (droplets,))
    ids = state["ids"]
    _numbers("decided", state["decided"], (torch.bool,), 1, (droplets,))
    _numbers("ids", ids, (torch.int64,), 1, (droplets,))
    if len(ids.unique()) != droplets or (droplets and not 0 <= ids.min() <= ids.max() < 2**31):
        raise DamagedError("'ids' are no numbers of droplets")
    if not _numbers("losses", state["losses"], real, 1)[0]:
        raise DamagedError("'losses' are none")
    _check_scales(state["scales"], count)
    _check_sites(state["sites"], known[profile], size, droplets, state["scales"]["spacing"])
    _check_found(state, len(state["sites"]["x"]))
    _check_draws(state["draws"], count, droplets, known[profile].gaussian)
    if not bool(((state["presence"] >= 0) & (state["presence"] <= 1)).all()):
        raise DamagedError("'presence' is no probability")
    _numbers("unfitted", state["unfitted"], (torch.float64,), 1, (2,))
    number, expected = state["unfitted"].tolist()
    if not 0 <= expected <= number < 2**31 or number != round(number):
        raise DamagedError("'unfitted' are no circles that may be droplets")
    if not bool((state["reduced_chi_square"] >= 0).all()):
        raise DamagedError("'reduced_chi_square' is negative")
    hot = state["hot_pixels"]
    if _numbers("hot_pixels", hot, (torch.int64,), 2)[1] != 3 or not bool(
        ((hot >= 0) & (hot < torch.tensor(size))).all()
    ):
        raise DamagedError("'hot_pixels' are no pixels of the image")
    looked_at = state["looked_at"]
    if looked_at is not None:
        _numbers("looked_at", looked_at, (torch.bool,), 2, (height, width))
        if not bool(looked_at.any()):
            raise DamagedError("'looked_at' is nowhere")
    if not isinstance(state["others"], dict) or not all(isinstance(name, str) for name in state["others"]):
        raise DamagedError("'others' are no channels")
    for count in state["others"].values():
        _numbers("others", count, (torch.int64,), 1, (3,))
        if not bool((count >= 0).all() and (count.diff() >= 0).all()):
            raise DamagedError("'others' are no counts")
    if state["pixel_size_um"] is not None:
        _check_number("pixel_size_um", state["pixel_size_um"], 0)
        if not state["pixel_size_um"]:
            raise DamagedError("'pixel_size_um' is 0")
    _check_number("seconds", state["seconds"], 0)
    if isinstance(state["seed"], bool) or not isinstance(state["seed"], int) or not 0 <= state["seed"] < 2**63:
        raise DamagedError("'seed' is no seed")


def _profile(name: Any) -> Profile:
    """The profile of that name, or ``DamagedError``."""
    try:
        return profile_named(name if isinstance(name, str) else repr(name)[:50])
    except ValueError as error:
        raise DamagedError(str(error)[:200].rstrip(".")) from error


def _check_scales(scales: Any, channels: int) -> None:
    if not isinstance(scales, dict) or scales.keys() != {*_SCALES, "radius_px", "spacing"}:
        raise DamagedError("'scales' are not those of the priors")
    for name in _SCALES:
        _numbers("scales", scales[name], (torch.float64,), 1, (channels,))
        if name != "level" and not bool((scales[name] > 0).all()):
            raise DamagedError("'scales' are not positive")
    for name in ("radius_px", "spacing"):
        _check_number("scales", scales[name], 1e-3)


def _check_sites(sites: Any, profile: Profile, size: tuple[int, ...], droplets: int, spacing: float) -> None:
    """The first of the sites' droplets are those of the draws; after them come others of no account."""
    count, height, width = size
    own = {parameter.name: () if parameter.entries is None else (parameter.size,) for parameter in profile.parameters}
    if not isinstance(sites, dict) or sites.keys() != {*_SITES, *own}:
        raise DamagedError("'sites' are not those of the model")
    (number,) = _numbers("sites", sites["x"], (torch.float64,), 1)
    if number < droplets:
        raise DamagedError("'sites' are of fewer droplets than there are")
    # As many control points as ``models.bspline_background`` has.
    grid = tuple(max(1, round(side / spacing)) + 3 for side in (height, width))
    shapes = {"bg": (count, *grid), "noise": (count,), "amplitude": (count, number), **own}
    for name, values in sites.items():
        _numbers("sites", values, (torch.float64,), None, shapes.get(name, (number,)))
        if values.numel() and values.abs().max() > 1e9:
            raise DamagedError("'sites' lie where no droplet is")
    positive = ("r", "noise", *(parameter.name for parameter in profile.parameters if parameter.log))
    if not all(bool((sites[name] > 0).all()) for name in positive):
        raise DamagedError("'sites' that are positive are not")


def _check_found(state: Mapping[str, Any], number: int) -> None:
    """Where the sites' droplets were found, if that was noted."""
    if "found_circles" not in state:
        return
    for name, shape in (("found_circles", (number, 3)), ("found_proposed", (number,)), ("found_sd", (number, 3))):
        _numbers(name, state[name], (torch.float64,), None, shape)
        if state[name].numel() and state[name].abs().max() > 1e9:
            raise DamagedError(f"{name!r} is where no droplet is")
    proposed = state["found_proposed"]
    if not bool(((proposed >= 0) & (proposed <= 1)).all()):
        raise DamagedError("'found_proposed' is no probability")
    if not bool((state["found_circles"][:, 2] > 0).all() and (state["found_sd"] >= 0).all()):
        raise DamagedError("'found_circles' have no radius")
    if not bool((state["found_sd"][proposed > 0] > 0).all()):
        raise DamagedError("'found_sd' are no deviations")
    if not isinstance(state["found_own_edges"], bool):
        raise DamagedError("'found_own_edges' is neither yes nor no")


def _check_draws(draws: Mapping[Any, Any], channels: int, droplets: int, gaussian: bool) -> None:
    names = (*_DRAWN, "sigma_px") if gaussian else _DRAWN
    if set(draws) != set(names):
        raise DamagedError(f"'draws' are not of {', '.join(names)}")
    number = _numbers("draws", draws["x_px"], (torch.float32,), 2)[0]
    if not number:
        raise DamagedError("'draws' are none")
    for name in names:
        inner = (channels, droplets) if name == "amplitude" else (droplets,)
        _numbers("draws", draws[name], (torch.float32,), None, (number, *inner))
    if droplets and min(draws[name].min() for name in names if name in ("radius_px", "sigma_px")) <= 0:
        raise DamagedError("'draws' have radii that are not positive")
    if droplets and max(draws[name].abs().max() for name in names) > 1e9:
        raise DamagedError("'draws' lie where no droplet is")


def _numbers(
    name: str,
    tensor: Any,
    types: tuple[torch.dtype, ...],
    axes: int | None = None,
    shape: tuple[int, ...] | None = None,
) -> tuple[int, ...]:
    """The shape of a tensor, which has to be of one of these types and all there, and whose numbers are finite."""
    if not isinstance(tensor, Tensor) or tensor.layout != torch.strided or tensor.device.type != "cpu":
        raise DamagedError(f"{name!r} is no plain tensor")
    if tensor.dtype not in types or tensor.requires_grad:
        raise DamagedError(f"{name!r} holds numbers of type {str(tensor.dtype).removeprefix('torch.')}")
    held = tuple(tensor.shape)
    if (axes is not None and len(held) != axes) or (shape is not None and held != shape):
        raise DamagedError(f"{name!r} has shape {held}" + ("" if shape is None else f", expected {shape}"))
    # A file can claim any shape for the few numbers that it has; strides of zero make them out of one.
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise DamagedError(f"{name!r} claims more numbers than the file has")
    if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
        raise DamagedError(f"{name!r} has NaN or infinite numbers")
    return held


def _check_number(name: str, value: Any, least: float = -math.inf) -> None:
    if isinstance(value, bool) or not isinstance(value, float | int) or not least <= value < math.inf:
        raise DamagedError(f"{name!r} is no number that it can be")
