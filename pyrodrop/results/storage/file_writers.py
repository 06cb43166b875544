"""Tables, figures, images and JSON written to files, each whole or not at all."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyrodrop.results.storage.atomic_write import atomic_write

# Where a measurement has looked, if not everywhere; and what a person has corrected, if anything.
LOOKED_AT = "looked_at.png"
EDITS = "edits.csv"

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import NDArray


def write_table(table: "pd.DataFrame", path: Path, digits: int = 6) -> None:
    """Write a table as CSV without its index, numbers with so many significant digits."""
    atomic_write(path, lambda temporary: table.to_csv(temporary, index=False, float_format=f"%.{digits}g"))


def write_figure(figure: "Figure", path: Path) -> None:
    """Write a figure in the format of the path's suffix."""
    # By way of memory: on a full disk the writers of pictures raise errors that do not say so.
    packed, kind = io.BytesIO(), path.suffix.removeprefix(".")
    # Packed this much PNG take half of the time, and are a twentieth larger.
    how: dict[str, Any] = {"pil_kwargs": {"compress_level": 3}} if kind == "png" else {}
    figure.savefig(packed, format=kind, **how)
    atomic_write(path, lambda temporary: temporary.write_bytes(packed.getbuffer()))


def write_tiff(pixels: "NDArray[np.float32]", path: Path) -> None:
    """Write an image (H, W), or the channels of one, (C, H, W), as a TIFF of floats."""
    import tifffile

    pages = pixels[0] if pixels.ndim == 3 and len(pixels) == 1 else pixels
    atomic_write(path, lambda temporary: tifffile.imwrite(temporary, pages, photometric="minisblack"))


def write_mask(mask: "NDArray[np.bool_]", path: Path) -> None:
    """Write truth values, (H, W), as a PNG: white where they are true."""
    from PIL import Image

    packed = io.BytesIO()
    Image.fromarray(mask).save(packed, format="PNG")
    atomic_write(path, lambda temporary: temporary.write_bytes(packed.getbuffer()))


def write_json(values: Mapping[str, Any], path: Path) -> None:
    """Write a mapping as indented JSON."""
    atomic_write(path, lambda temporary: temporary.write_text(json.dumps(values, indent=2) + "\n"))
