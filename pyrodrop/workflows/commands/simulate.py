"""A micrograph made from known droplets, written with their table: ``pyrodrop simulate``."""

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
    out: str, *, n_droplets: int = EMBEDDED_DROPLETS, size: tuple[int, int] = EMBEDDED_SIZE, seed: int = EMBEDDED_SEED
) -> dict[str, Any]:
    """Write ``micrograph.png`` and ``truth.csv`` into the folder ``out``, and say where.

    Args:
        out: the folder.
        n_droplets, size, seed: as for ``pyrodrop.simulate``; by default those of the embedded micrograph.

    Raises:
        SettingError: for a setting out of its range, or a folder that cannot be written to.
    """
    height, width = size
    seed = whole("seed", seed)
    try:
        image, truth = simulate(n_droplets, (height, width), seed)
    except ValueError as error:
        raise SettingError(str(error), "size", "n_droplets") from error
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
