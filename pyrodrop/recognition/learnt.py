"""Numbers that were learnt from simulations: how far the network and the joint fit are to be believed."""

import json
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FILE = Path(str(files("pyrodrop.recognition") / "learnt.json"))


@lru_cache(maxsize=1)
def _stored() -> dict[str, list[float]]:
    stored: dict[str, list[float]] = json.loads(FILE.read_text(encoding="utf-8"))
    return stored


def learnt(name: str) -> NDArray[np.float64]:
    """The weights of this name, as ``python -m pyrodrop.recognition.learn`` wrote them."""
    return np.array(_stored()[name], dtype=np.float64)


def unfitted_sd() -> float:
    """Standard deviation of what the log odds of an image's ``unfitted`` circles share."""
    return float(learnt("unfitted doubt")[0])


def shared_sd() -> float:
    """Standard deviation of the part of the log odds of presence that all droplets of an image share.

    ``results.statistics.shared_doubt`` says what that is.
    """
    return float(learnt("shared doubt")[0])
