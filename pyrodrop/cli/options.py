"""The settings of the jobs: each once, as an option of its command and of ``batch``, and as a workflow's argument."""

import argparse
from collections.abc import Mapping
from typing import Any, NamedTuple

from pyrodrop.workflows.settings import STARTS

# Written out again, for the modules that they come from import torch, and --help does not wait for that.
CHANNELS = ("hue", "saturation", "value", "L", "a", "b", "red", "green", "blue", "gray")
PROFILES = ("auto", "gaussian", "disc", "radial")


class Setting(NamedTuple):
    """One setting of a job: as an option of its own command and of ``batch``, and as the workflow's argument.

    Attributes:
        flag: the option.
        keyword: the name of the argument.
        help: one line.
        how: what else argparse is told; as pairs, so that a setting can be hashed.
        of_many: whether it makes sense for many images.
    """

    flag: str
    keyword: str
    help: str
    how: tuple[tuple[str, Any], ...] = ()
    of_many: bool = True

    def add_to(self, parser: argparse.ArgumentParser) -> None:
        """Add it as an option; where it is not given, the workflow's own default holds."""
        how: Mapping[str, Any] = dict(self.how)
        parser.add_argument(self.flag, dest=self.keyword, default=None, help=self.help, **how)


def _count(text: str) -> int | str:
    if text == "auto":
        return text
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a whole number or auto, got {text!r}") from None


_CHANNEL = Setting(
    "--channel",
    "channel",
    f"{', '.join(CHANNELS)}, or one that the file names; for measure also all, every channel at once (default: gray "
    "for measure, hue for fit, saturation for the micrograph that pyrodrop makes)",
    (("metavar", "NAME"),),
)
_SCALE = Setting(
    "--scale", "scale", "resize the image first: 0.5 halves its sides (default 1)", (("type", float), ("metavar", "S"))
)
_FRAME = Setting(
    "--frame",
    "frame",
    "which picture of a file that holds several, from 0",
    (("type", int), ("metavar", "N")),
    of_many=False,
)
_WHITE = Setting(
    "--white-level",
    "white",
    "level of the file that is white, 4095 for a camera of 12 bits (default: from the file)",
    (("type", float), ("metavar", "L")),
)
_PIXEL_SIZE = Setting(
    "--pixel-size",
    "pixel_size_um",
    "side of a pixel of the file in micrometres (default: from the file)",
    (("type", float), ("metavar", "UM")),
)
_FILE = (_SCALE, _FRAME, _WHITE, _PIXEL_SIZE)

# The jobs that can be done to an image, and their settings: of the command of that name, and of batch. A setting
# that two jobs share is one object in both.
JOBS: dict[str, tuple[Setting, ...]] = {
    "fit": (
        _CHANNEL,
        *_FILE,
        Setting(
            "--droplets",
            "n_droplets",
            "number of droplets; auto finds it (default 500, the true number for the micrograph that pyrodrop makes)",
            (("type", _count), ("metavar", "N|auto")),
        ),
        Setting(
            "--steps",
            "steps",
            "iterations; auto goes on until the loss stops falling (default auto, 20000 with --start uniform)",
            (("type", _count), ("metavar", "N|auto")),
        ),
        Setting(
            "--error-scale",
            "error_scale",
            "standard deviation of the noise (default 0.05, and 0.02 for the micrograph that pyrodrop makes)",
            (("type", float), ("metavar", "S")),
        ),
        Setting(
            "--learning-rate",
            "learning_rate",
            "learning rate of Adam (default 0.01)",
            (("type", float), ("metavar", "R")),
        ),
        Setting(
            "--start", "start", "where the fit starts (default peaks; uniform as in the post)", (("choices", STARTS),)
        ),
        Setting(
            "--restarts",
            "restarts",
            "fit from K starts at once, keep the best (default 1)",
            (("type", int), ("metavar", "K")),
        ),
        Setting(
            "--resume",
            "resume",
            "go on from this checkpoint for --steps more iterations (0: write its results)",
            (("metavar", "FIT.PT"),),
            of_many=False,
        ),
    ),
    "measure": (
        _CHANNEL,
        *_FILE,
        Setting(
            "--profile",
            "profile",
            "how the height of a droplet falls from its centre (default auto: the one with the most evidence)",
            (("choices", PROFILES),),
        ),
        Setting(
            "--tiles",
            "tiles",
            "measure one TIFF or Zarr that is larger than memory in tiles of at most PX pixels a side (default 1024)",
            (("type", int), ("nargs", "?"), ("const", 1024), ("metavar", "PX")),
            of_many=False,
        ),
        # Not called workers: batch has an option of that name, which says how many images are done at once.
        Setting(
            "--workers",
            "tile_workers",
            "processes that measure tiles, each with one thread (default: one a core)",
            (("type", int), ("metavar", "N")),
            of_many=False,
        ),
    ),
}
DEFAULT_JOB = "measure"
