"""The settings of the jobs: each once, as an option of its command and of ``batch``, and as a workflow's argument."""

import argparse
from collections.abc import Mapping
from typing import Any, NamedTuple

from pyrodrop.workflows.fit_settings import POST_STEPS, STARTS, FitSettings

# Written out again, for the modules that they come from import torch, and --help does not wait for that.
CHANNELS = ("hue", "saturation", "value", "L", "a", "b", "red", "green", "blue", "gray")


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


def whole(text: str) -> int:
    """A word of the command line as a whole number."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a whole number, got {text!r}") from None


def number(text: str) -> float:
    """A word of the command line as a number."""
    try:
        return float(text)
    except ValueError:
        point = text.replace(",", ".", 1)
        hint = f"; with a point it is {point}" if point != text and _is_number(point) else ""
        raise argparse.ArgumentTypeError(f"expected a number, got {text!r}{hint}") from None


def number_or_auto(text: str) -> int | str:
    """A word of the command line as a whole number, or auto."""
    if text == "auto":
        return text
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a whole number or auto, got {text!r}") from None


def length(text: str) -> str:
    """A word of the command line as a length: a number of px, or of micrometres with um behind it."""
    number(next((text.removesuffix(unit) for unit in ("um", "µm", "μm", "px") if text.endswith(unit)), text))
    return text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


_CHANNEL = Setting(
    "--channel",
    "channel",
    f"{', '.join(CHANNELS)}, or one that the file names; for measure also all, every channel at once (default: gray "
    "for measure, hue for fit, saturation for the micrograph that pyrodrop makes)",
    (("metavar", "NAME"),),
)
_SCALE = Setting(
    "--scale", "scale", "resize the image first: 0.5 halves its sides (default 1)", (("type", number), ("metavar", "S"))
)
_FRAME = Setting(
    "--frame",
    "frame",
    "which picture of a file that holds several, from 0",
    (("type", whole), ("metavar", "N")),
    of_many=False,
)
_WHITE = Setting(
    "--white-level",
    "white",
    "level of the file that is white, 4095 for a camera of 12 bits (default: from the file)",
    (("type", number), ("metavar", "L")),
)
_PIXEL_SIZE = Setting(
    "--pixel-size",
    "pixel_size_um",
    "side of a pixel of the file in micrometres (default: from the file)",
    (("type", number), ("metavar", "UM")),
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
            f"number of droplets; auto finds it (default {FitSettings.n_droplets}, the true number for the "
            "micrograph that pyrodrop makes)",
            (("type", number_or_auto), ("metavar", "N|auto")),
        ),
        Setting(
            "--steps",
            "steps",
            f"iterations; auto goes on until the loss stops falling (default auto, {POST_STEPS} with --start uniform)",
            (("type", number_or_auto), ("metavar", "N|auto")),
        ),
        Setting(
            "--error-scale",
            "error_scale",
            f"standard deviation of the noise (default {FitSettings.error_scale:g}, and 0.02 for the micrograph "
            "that pyrodrop makes)",
            (("type", number), ("metavar", "S")),
        ),
        Setting(
            "--learning-rate",
            "learning_rate",
            f"learning rate of Adam (default {FitSettings.learning_rate:g})",
            (("type", number), ("metavar", "R")),
        ),
        Setting(
            "--start",
            "start",
            f"where the fit starts (default {FitSettings.start}; uniform as in the post)",
            (("choices", STARTS),),
        ),
        Setting(
            "--restarts",
            "restarts",
            f"fit from K starts at once, keep the best (default {FitSettings.restarts})",
            (("type", whole), ("metavar", "K")),
        ),
        Setting(
            "--posterior",
            "posterior",
            "also sample the posterior itself, until R-hat and effective sizes say it is known (minutes)",
            (("action", "store_true"),),
            of_many=False,
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
            "--mask",
            "mask",
            "look only where this image, of the same size, is not 0, or within these ImageJ regions (.roi, .zip)",
            (("metavar", "FILE"),),
        ),
        Setting(
            "--region",
            "region",
            "look only within this rectangle: x and y of its upper left pixel, width and height, px; may be repeated",
            (("type", whole), ("nargs", 4), ("action", "append"), ("metavar", ("X", "Y", "W", "H"))),
        ),
        Setting(
            "--exclude",
            "exclude",
            "do not look within this rectangle, as at a scale bar or lettering; may be repeated",
            (("type", whole), ("nargs", 4), ("action", "append"), ("metavar", ("X", "Y", "W", "H"))),
        ),
        Setting(
            "--radius",
            "radius",
            "count only droplets of radii between these, px, or as 2.5um micrometres; 0 and inf for no limit",
            (("type", length), ("nargs", 2), ("metavar", ("MIN", "MAX"))),
        ),
        Setting(
            "--polarity",
            "polarity",
            "count only droplets that are brighter, or darker, than what is around them (default both)",
            (("choices", ("bright", "dark", "both")),),
        ),
        Setting(
            "--border",
            "border",
            "keep or drop droplets whose circles are cut by the edge of what is looked at (default keep)",
            (("choices", ("keep", "drop")),),
        ),
        Setting(
            "--profile",
            "profile",
            "how the height of a droplet falls from its centre, as gaussian, disc, radial or rimmed (default auto: the "
            "one with the most evidence)",
            (("metavar", "NAME"),),
        ),
        Setting(
            "--weights",
            "weights",
            "the network that pyrodrop learn has written for your droplets (default: the one that ships)",
            (("metavar", "FILE.PT"),),
        ),
        Setting(
            "--tiles",
            "tiles",
            "measure TIFF or Zarr that are larger than memory in tiles of at most PX pixels a side (default 1024)",
            (("type", whole), ("nargs", "?"), ("const", 1024), ("metavar", "PX")),
        ),
        # Not called workers: batch has an option of that name, which says how many images are done at once.
        Setting(
            "--workers",
            "tile_workers",
            "processes that measure tiles, each with one thread (default: one a core)",
            (("type", whole), ("metavar", "N")),
            of_many=False,
        ),
    ),
}
DEFAULT_JOB = "measure"
# Of the settings of measure, those that track has for each of its frames.
_TRACKED_FILE = ("channel", "scale", "white", "pixel_size_um")
TRACKED = (*_TRACKED_FILE, "mask", "region", "exclude", "polarity", "profile", "weights")
