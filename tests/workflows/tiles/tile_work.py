"""What workers are asked to do in a test: of a module of its own, so that they find it by name."""

import os
import signal
from pathlib import Path

from pyrodrop.workflows.tiles.large_image import LargeImage


def brightness(plane: LargeImage, scale: float) -> tuple[int, float]:
    """Who did it, and a number of the image."""
    assert plane.path is not None
    return os.getpid(), scale * plane.size[0]


def dies_once(_: LargeImage, marker: Path, number: int) -> int:
    """Is killed, as for want of memory, by whoever comes first."""
    if number == 3 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def dies(_: LargeImage, number: int) -> int:
    """Is killed at one of the numbers whenever it is tried."""
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number
