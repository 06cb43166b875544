"""The folder that results go to: refused at the door, never half written."""

import errno
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyrodrop.results.storage.atomic_write import atomic_write
from pyrodrop.workflows.settings import SettingError

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray


# What a full disk says, or a full quota.
FULL = (errno.ENOSPC, errno.EDQUOT)


def open_folder(path: str | os.PathLike[str]) -> Path:
    """Make the folder if it is not there yet, and see that it can be written to.

    Raises:
        SettingError: if it is a file, or cannot be made or written to.
        OSError: if the disk is full.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise SettingError(f"--out {folder} is not a folder; name another") from error
    except OSError as error:
        if error.errno in FULL:
            raise
        raise SettingError(f"--out {folder} cannot be made ({error.strerror}); name another") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise SettingError(f"--out {folder} cannot be written to; name another folder or change its permissions")
    return folder


def write_figure(figure: "Figure", path: Path) -> None:
    """Write a figure in the format of the path's suffix."""
    # By way of memory: on a full disk the writers of pictures raise errors that do not say so.
    packed = io.BytesIO()
    figure.savefig(packed, format=path.suffix.removeprefix("."))
    atomic_write(path, lambda temporary: temporary.write_bytes(packed.getbuffer()))


def write_tiff(pixels: "NDArray[np.float32]", path: Path) -> None:
    """Write an image (H, W), or the channels of one, (C, H, W), as a TIFF of floats."""
    import tifffile

    pages = pixels[0] if pixels.ndim == 3 and len(pixels) == 1 else pixels
    atomic_write(path, lambda temporary: tifffile.imwrite(temporary, pages, photometric="minisblack"))


def write_json(values: Mapping[str, Any], path: Path) -> None:
    """Write a mapping as indented JSON."""
    atomic_write(path, lambda temporary: temporary.write_text(json.dumps(values, indent=2) + "\n"))
