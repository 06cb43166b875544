"""A micrograph of a known truth in a folder: ``pyrodrop simulate``."""

from typing import Any

from pyrodrop.images import write_png
from pyrodrop.images.simulation.simulate import (
    COLOUR_CHANNEL,
    EMBEDDED_DROPLETS,
    EMBEDDED_SEED,
    EMBEDDED_SIZE,
    simulate,
)
from pyrodrop.results.storage.atomic_write import atomic_write
from pyrodrop.results.storage.file_writers import write_table
from pyrodrop.workflows.output_folder import open_folder
from pyrodrop.workflows.settings import SettingError, whole


def simulate_image(
    out: str, *, n_droplets: int | None = None, size: tuple[int, int] | None = None, seed: int | None = None
) -> dict[str, Any]:
    """Write ``micrograph.png`` and ``truth.csv`` into the folder ``out``, and say where.

    Args:
        out: the folder.
        n_droplets, size, seed: as for ``pyrodrop.simulate``; those of the embedded micrograph where not given.

    Raises:
        SettingError: for a setting out of its range, or a folder that cannot be written to.
    """
    n_droplets = EMBEDDED_DROPLETS if n_droplets is None else n_droplets
    height, width = EMBEDDED_SIZE if size is None else size
    seed = whole("seed", EMBEDDED_SEED if seed is None else seed)
    try:
        image, truth = simulate(n_droplets, (height, width), seed)
    except ValueError as error:
        raise SettingError(str(error)) from error
    folder = open_folder(out)
    picture, table = folder / "micrograph.png", folder / "truth.csv"
    write_table(truth, table)
    atomic_write(picture, lambda path: write_png(image, path))
    return {
        "n_droplets": n_droplets,
        "width": width,
        "height": height,
        "seed": seed,
        "channel": COLOUR_CHANNEL,
        "picture": str(picture),
        "truth": str(table),
    }
