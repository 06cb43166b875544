"""The network that proposes circles learns a laboratory's own droplets: ``pyrodrop learn``."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm import tqdm

import pyrodrop
from pyrodrop.results.storage.atomic_write import atomic_write
from pyrodrop.results.storage.file_writers import write_json
from pyrodrop.workflows.learning.laboratory_folder import read_laboratory
from pyrodrop.workflows.learning.lesson import Duration, Lesson, give_lesson, write_network
from pyrodrop.workflows.learning.teaching import division_of
from pyrodrop.workflows.measuring.weights_file import weights_file
from pyrodrop.workflows.output_folder import open_folder
from pyrodrop.workflows.settings import SettingError, pick_device, positive, positive_whole, whole

MINUTES = 10.0
NOT_CORRECTED = (
    "every table is as measure wrote it: where nobody has looked at them, the network learns its own mistakes, and its "
    "score is how well it agrees with itself"
)
NOT_BETTER = (
    "the network sees the droplets held out no better than before (F1 {before.f1:.3f} before and {after.f1:.3f} after, "
    "error of radii {before.radius_error:.3f} and {after.radius_error:.3f})"
)


def learn(
    folder: str,
    out: str = "pyrodrop-weights.pt",
    *,
    channel: str | None = None,
    weights: str | None = None,
    minutes: float = MINUTES,
    steps: int | None = None,
    seed: int = 0,
    device: str = "auto",
    force: bool = False,
    progress: bool = True,
) -> dict[str, Any]:
    """Let the network learn from a laboratory's images, and write its weights where it has become better.

    Args:
        folder: images with tables beside them, results, or both; see ``learning.laboratory_folder``.
        out: the file of the weights, which ``measure`` takes. What was learnt stands in a JSON file beside it.
        channel: of the images, as for ``measure``.
        weights: to begin with; those that ship where not given.
        minutes: how long to learn, about.
        steps: how long in steps, in the place of minutes; with the seed they give the same weights again.
        seed: of all that is drawn.
        device: auto, cpu or cuda.
        force: write the weights even if they are no better.
        progress: show it on standard error.

    Returns:
        Numbers of images and droplets, the quality on what was held out before and after, also on broad simulations,
        and where the weights are; under ``failed`` why they were not written.

    Raises:
        SettingError, ImageError: for a setting, a table or an image that is not as it should be.
    """
    started = time.perf_counter()
    duration = Duration(positive("minutes", minutes), None if steps is None else positive_whole("steps", steps))
    seed, place, origin = whole("seed", seed), pick_device(device), weights_file(weights)
    file = _file(out)
    laboratory = read_laboratory(folder, channel)
    open_folder(file.parent)
    division = division_of(laboratory, origin, seed, lambda line: _tell(line, progress))
    _tell("scoring what is held out, then learning, then scoring it again", progress)
    lesson = give_lesson(division, origin, duration, seed, place, _bar(progress))
    summary: dict[str, Any] = {
        "version": pyrodrop.__version__,
        "seed": seed,
        "folder": str(folder),
        "images": len(laboratory.marked),
        "images_without_table": len(laboratory.unmarked),
        "droplets_taught": sum(len(image.circles) for image in division.taught),
        "droplets_held_out": sum(image.number for image in division.held_out),
        "steps": lesson.steps,
        "warnings": [NOT_CORRECTED] if 0 < len(laboratory.as_measured) == len(laboratory.marked) else [],
        "held_out": {"before": lesson.before.as_dict(), "after": lesson.after.as_dict()},
        "simulations": {"before": lesson.simulations_before.as_dict(), "after": lesson.simulations_after.as_dict()},
        "seconds": round(time.perf_counter() - started, 3),
    }
    return summary | _written(lesson, summary, file, force)


def _written(lesson: Lesson, summary: dict[str, Any], file: Path, force: bool) -> dict[str, Any]:
    """Write the weights and what is said of them, if they are to be; say where, or why not."""
    complaint = "" if lesson.is_better else NOT_BETTER.format(before=lesson.before, after=lesson.after)
    if complaint and not force:
        advice = "nothing was written; give it more images or minutes, or --force to write it all the same"
        return {"failed": {str(file): f"{complaint}; {advice}"}}
    said: dict[str, Any] = {"warnings": [*summary["warnings"], complaint]} if complaint else {}
    atomic_write(file, lambda path: write_network(lesson.network, path))
    write_json(summary | said, file.with_suffix(".json"))
    return said | {"weights": str(file)}


def _file(out: str) -> Path:
    file = Path(out)
    if file.suffix != ".pt" or file.is_dir():
        raise SettingError(f"out {file} is no name for a file of weights; give one that ends in .pt", "out")
    return file


def _tell(line: str, progress: bool) -> None:
    if progress:
        print(line, file=sys.stderr, flush=True)


def _bar(progress: bool) -> Callable[[int, int | None], None]:
    """What shows steps as they are done, from the first of them to the last."""
    bars: list[tqdm[Any]] = []

    def told(done: int, steps: int | None) -> None:
        if not bars:
            bars.append(tqdm(unit="step", disable=not progress))
        bars[0].total = steps
        bars[0].update()
        if done == steps:
            bars[0].close()

    return told
