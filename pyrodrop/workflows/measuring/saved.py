"""A measurement as one flat dict of plain tensors in a file, and back."""

import os
from collections.abc import Sequence
from typing import Any

import torch

from pyrodrop.models.assumed.noise_families import NORMAL
from pyrodrop.models.prior_scales import PriorScales
from pyrodrop.results.storage.checkpoint import CheckpointError, load_state, save_state
from pyrodrop.workflows.assumptions import assumptions_as_dict, assumptions_of_dict
from pyrodrop.workflows.checkpoint_checks import DamagedError, check_measurement
from pyrodrop.workflows.measuring.contents import CandidateDroplets, FittedModel, FoundDroplets, MeasuredImage
from pyrodrop.workflows.measuring.editing.record import Edit
from pyrodrop.workflows.measuring.rules import EVERYTHING, Rules, checked_rules

Parts = tuple[MeasuredImage, CandidateDroplets, FittedModel, int, float, Rules, tuple[Edit, ...]]

KIND = "pyrodrop measurement"
# The entries that say what a file is, before all of them are looked at.
NEEDS: dict[str, type] = {"channels": torch.Tensor, "names": list, "draws": dict, "profile": str, "sites": dict}
_FOUND = {name: f"found_{name}" for name in FoundDroplets._fields}


def save_measurement(
    image: MeasuredImage,
    droplets: CandidateDroplets,
    fitted: FittedModel,
    seed: int,
    seconds: float,
    rules: Rules,
    edits: Sequence[Edit],
    path: str | os.PathLike[str],
) -> None:
    """Write the parts of a measurement as one file of plain tensors."""
    scales = {
        name: torch.from_numpy(value.copy()) if hasattr(value, "shape") else float(value)
        for name, value in vars(fitted.scales).items()
        if name not in ("priors", "family")
    }
    assumed = assumptions_as_dict(fitted.scales.priors, fitted.scales.family)
    found = {} if fitted.found is None else {_FOUND[name]: v for name, v in fitted.found._asdict().items()}
    state = {
        "kind": KIND,
        **image._asdict(),
        "names": list(image.names),
        "others": dict(image.others),
        **droplets._asdict(),
        **{name: value for name, value in fitted._asdict().items() if name != "found"},
        **found,
        "scales": scales,
        **({"assumed": assumed} if assumed else {}),
        "seed": seed,
        "seconds": seconds,
        **rules._asdict(),
        "edits": [edit.as_dict() for edit in edits],
    }
    save_state(state, path)


def parts_in(path: str | os.PathLike[str]) -> Parts:
    """The parts of the measurement that a file holds.

    Raises:
        CheckpointError: if the file is missing, damaged or something else.
    """
    state = load_state(path, KIND, NEEDS)
    try:
        return _parts_of(state)
    except (KeyError, DamagedError) as error:
        raise CheckpointError(
            f"{path} is of another version of pyrodrop or damaged ({error}); give the fit.pt that measure has written"
        ) from error


def _assumed_in(state: dict[str, Any]) -> dict[str, Any]:
    """The priors and the noise of a file, as words and numbers; none in files from before, or of the model's own."""
    assumed = state.get("assumed", {})
    if not isinstance(assumed, dict):
        raise ValueError("no words")
    return assumed


def _parts_of(state: dict[str, Any]) -> Parts:
    """The parts of a measurement that ``save_measurement`` made, in its order.

    Raises:
        KeyError, DamagedError: the state is not that of a measurement.
    """
    # Files from before had none of these.
    before = {
        "hot_pixels": torch.zeros((0, 3), dtype=torch.int64),
        "looked_at": None,
        "others": {},
        **EVERYTHING._asdict(),
    }
    before |= {"edits": []}
    if isinstance(state.get("presence"), torch.Tensor):
        n = state["presence"].numel()
        before |= {"ids": torch.arange(n), "decided": torch.zeros(n, dtype=torch.bool)}
    before |= {"unfitted": torch.zeros(2, dtype=torch.float64)}
    state = {**before, **state}
    check_measurement(state)
    try:
        rules = checked_rules(*(state[name] for name in Rules._fields))
    except ValueError as error:  # a SettingError, or a number of more digits than Python shows
        raise DamagedError(f"{', '.join(map(repr, Rules._fields))} are no rules") from error
    try:
        edits = tuple(Edit.of_dict(edit) for edit in state["edits"])
    except (ValueError, TypeError) as error:
        raise DamagedError("'edits' are none") from error
    scales: dict[str, Any] = {
        name: v.numpy() if isinstance(v, torch.Tensor) else v for name, v in state["scales"].items()
    }
    try:
        priors, noise = assumptions_of_dict(_assumed_in(state))
    except ValueError as error:
        raise DamagedError("'assumed' is neither priors nor noise") from error
    scales |= {"priors": priors, "family": NORMAL if noise is None else noise}
    noted = all(key in state for key in _FOUND.values())
    found = FoundDroplets(*(state[key] for key in _FOUND.values())) if noted else None
    whole: dict[str, Any] = state | {"names": tuple(state["names"]), "scales": PriorScales(**scales), "found": found}
    return (
        MeasuredImage(*(whole[name] for name in MeasuredImage._fields)),
        CandidateDroplets(*(whole[name] for name in CandidateDroplets._fields)),
        FittedModel(*(whole[name] for name in FittedModel._fields)),
        state["seed"],
        state["seconds"],
        rules,
        edits,
    )
