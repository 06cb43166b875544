"""What of a laboratory's images teaches and what is held out: those that a person marked, and draws of the others."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from pyrodrop.detection.learning.division import Division, HeldOutImage, divided
from pyrodrop.detection.learning.laboratory import MarkedImage
from pyrodrop.workflows.learning.appearance import drawn_like
from pyrodrop.workflows.learning.laboratory_folder import Laboratory
from pyrodrop.workflows.measuring.measure import measure
from pyrodrop.workflows.settings import SettingError

DRAWS = 4  # of the model of an image that nobody has marked; 1 where others are marked, for they know better


def division_of(laboratory: Laboratory, weights: Path, seed: int, report: Callable[[str], None]) -> Division:
    """What teaches and what is held out.

    Images that nobody has marked are measured, and draws of their models teach (``appearance``). Held out is of what
    people marked (``detection.learning.division``), and of draws only where there is nothing else: then the last draw
    of each image.

    Args:
        laboratory: what was read.
        weights: of the network that images are measured with.
        seed: of what is held out, and of the draws.
        report: called with a line before an image is measured.

    Raises:
        SettingError: there are too few droplets to learn from.
    """
    draws: list[list[MarkedImage]] = []
    number = 1 if laboratory.marked else DRAWS
    for k, (name, image) in enumerate(laboratory.unmarked):
        report(f"measuring {name}, which has no table")
        own = int(np.random.SeedSequence([seed, k]).generate_state(1)[0])
        draws.append(drawn_like(measure(image, weights=weights, seed=own), number, own))
    drawn = [each for each in draws if each]
    try:
        if laboratory.marked:
            division = divided(laboratory.marked, seed)
            return Division([*division.taught, *(image for each in drawn for image in each)], division.held_out)
        if not drawn:
            raise ValueError("no droplet was seen in any of its images: write a table beside one of them")
    except ValueError as error:
        raise SettingError(f"{error}", "folder") from error
    held_out = [HeldOutImage(each[-1], *map(slice, (0, 0), each[-1].pixels.shape)) for each in drawn]
    return Division([image for each in drawn for image in each[:-1]], held_out)
