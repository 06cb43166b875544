"""A small fit, as options, and the files of a folder."""

from pathlib import Path

FIT = ("--droplets", "3", "--steps", "4", "--start", "uniform", "--channel", "saturation", "--device", "cpu")


def files(folder: Path) -> set[str]:
    """Names of the files; none where there is no folder."""
    return {path.name for path in folder.iterdir()} if folder.exists() else set()
