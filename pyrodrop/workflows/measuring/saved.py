"""A measurement as one flat dict of plain tensors, and back."""

from typing import Any

import torch

from pyrodrop.models.prior_scales import PriorScales
from pyrodrop.workflows.checkpoint_checks import DamagedError, check_measurement
from pyrodrop.workflows.measuring.contents import CandidateDroplets, FittedModel, MeasuredImage
from pyrodrop.workflows.measuring.rules import EVERYTHING, Rules, checked_rules

KIND = "pyrodrop measurement"
# The entries that say what a file is, before all of them are looked at.
NEEDS: dict[str, type] = {"channels": torch.Tensor, "names": list, "draws": dict, "profile": str, "sites": dict}


def state_of(
    image: MeasuredImage,
    droplets: CandidateDroplets,
    fitted: FittedModel,
    seed: int,
    seconds: float,
    rules: Rules = EVERYTHING,
) -> dict[str, Any]:
    """What a file of a measurement holds."""
    scales = {
        name: torch.from_numpy(value.copy()) if hasattr(value, "shape") else float(value)
        for name, value in vars(fitted.scales).items()
    }
    return {
        "kind": KIND,
        **image._asdict(),
        "names": list(image.names),
        **droplets._asdict(),
        **fitted._asdict(),
        "scales": scales,
        "seed": seed,
        "seconds": seconds,
        **rules._asdict(),
    }


def parts_of(state: dict[str, Any]) -> tuple[MeasuredImage, CandidateDroplets, FittedModel, int, float, Rules]:
    """The parts of a measurement that ``state_of`` made, in its order.

    Raises:
        KeyError, DamagedError: the state is not that of a measurement.
    """
    # Files from before had none of these.
    before = {"hot_pixels": torch.zeros((0, 3), dtype=torch.int64), "looked_at": None, **EVERYTHING._asdict()}
    state = {**before, **state}
    check_measurement(state)
    try:
        rules = checked_rules(*(state[name] for name in Rules._fields))
    except ValueError as error:  # a SettingError, or a number of more digits than Python shows
        raise DamagedError(f"{', '.join(map(repr, Rules._fields))} are no rules") from error
    scales: dict[str, Any] = {
        name: v.numpy() if isinstance(v, torch.Tensor) else v for name, v in state["scales"].items()
    }
    whole: dict[str, Any] = state | {"names": tuple(state["names"]), "scales": PriorScales(**scales)}
    return (
        MeasuredImage(*(whole[name] for name in MeasuredImage._fields)),
        CandidateDroplets(*(whole[name] for name in CandidateDroplets._fields)),
        FittedModel(*(whole[name] for name in FittedModel._fields)),
        state["seed"],
        state["seconds"],
        rules,
    )
