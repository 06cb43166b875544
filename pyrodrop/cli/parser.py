"""What the command line takes: the commands, their arguments and the words of --help."""

import argparse
import itertools
from typing import Any, NoReturn

from pyrodrop.cli.options import DEFAULT_JOB, JOBS, TRACKED, number, whole
from pyrodrop.cli.printing import one_line

_START = """To begin, no image is needed: run pyrodrop measure, then pyrodrop report pyrodrop-measure, and open
report.html in that folder. pyrodrop COMMAND --help tells what a command takes."""
_MEASURE = """Finds the droplets of images and measures them, with no threshold, radius or number to give. Writes
droplets.csv (a row for each droplet), summary.json (count and sizes, with their 90 % intervals) and figures; look at
overlay.png first. Without IMAGE it measures a micrograph that pyrodrop makes itself, and compares with its truth."""
_FIT = """Fits a number of round Gaussian spots to one channel of an image. Writes droplets.csv (a row for each
droplet), summary.json, losses.csv, fit.pt (to resume from) and figures. Without IMAGE it fits a micrograph that
pyrodrop makes itself, and compares with its truth."""
_REPORT = """Writes report.html (one page that holds everything), rois.zip (for ImageJ's ROI Manager) and labels.tif (a
label image) into a folder of results. For a folder of such folders it also writes a page that compares them."""
_EDIT = """Applies corrections that you made by hand, as the page of pyrodrop report saves them, to results of measure:
what you removed is not there, what you added or kept is, and those beside it are fitted again. The folder stays as it
is; what comes of it is a new one."""
_EDITS = """a JSON object of lists: remove and keep with ids of droplets.csv, add with circles [x, y, radius] in px, and
merge, move, split and mask"""
_BATCH = """Does one job to many images, one at a time on every core or GPU, and puts the results into one table. Images
that were done before, with the same content, settings and version, are not done again."""
_TRACK = """Follows droplets through the frames of a stack, with no radius of search to give. Writes tracks.csv (a row a
droplet and frame), events.csv (what entered, left, merged, split, dissolved), rates.csv (how fast each grows and
moves), population.csv, figures, and report.html with a slider over the frames; look at that first. A run that was ended
goes on with the frames that are left."""
_PRIOR = """Samples one of the three priors of the post that pyrodrop grew from, with NUTS, and draws what it says of
images: where centres are and how large radii (centres), with a colour for each droplet (colours), or as an image
(rendered)."""
_CHANNELS = """Draws the channels of an image, to choose one for --channel of measure and fit, one in which each
droplet is a single spot: of a colour image L, a, b, hue, saturation and value, of any other those of its file."""
_SIMULATE = """Makes a colour micrograph of droplets whose places and radii are known, and writes the image and the
truth, a row for each droplet."""
_LEARN = """Lets the network that finds droplets learn how yours look, from images with the circles that you drew, from
results that you corrected, or from images alone. One image in four is held out to tell whether it has become better;
then its weights are written, for --weights of measure and batch."""
_LEARN_FOLDER = """images, each with a table beside it (NAME.csv: x_px, y_px, radius_px), and folders that measure or
batch has written, whose droplets.csv you corrected; images without a table teach by what is found in them"""
_COMPARE = """Pools the images of each sample, and compares the samples: number per area and sizes with 90 % intervals
that hold differences between images, ratios, and the probability that one is larger. Writes tables (samples.csv,
differences.csv, images.csv, distributions.csv), figures, and words for a paper (words.txt)."""
_COMPARED = """folders that measure or batch has written: a sample each, but of a batch of a sheet with a column sample
those that it names"""
_NAME = "name of the sample of a folder, one for each DIR, the same for those of one sample (default: the folder's)"
_PATHS = "image files, folders of images, and patterns such as 'run*/**/*.tif'"
_COMMA = "also write all tables with semicolons and decimal commas, as NAME-comma.csv"
_SHEET = """in the place of PATH, a table with a column path; a column sample pools images by sample, pixel_size_um,
channel, mask and others are settings of that image, and all else is carried into the tables"""
_SCHEDULER = "a Dask scheduler, as tcp://host:8786 or the file that it writes (default: workers of its own)"
_WORKERS_PER_GPU = "worker processes that share one GPU (default 1)"
_TOGETHER = "with --job fit, fit N images side by side in a worker (default 1, on a GPU up to 64)"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {one_line(message)}; see {self.prog} --help\n")


class _CommandParser(_Parser):
    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Parse, but refuse ``--option=--``: some versions of argparse take the -- away and leave an empty list."""
        for word in itertools.takewhile(lambda word: word != "--", args or ()):
            option, _, value = word.partition("=")
            if option.startswith("--") and value == "--":
                self.error(f"argument {option}: expected a value, got '--'")
        words, unknown = super().parse_known_args(args, namespace)
        if unknown:  # told here, so that the message names the command
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return words, unknown


def command_parser() -> argparse.ArgumentParser:
    """The parser of all commands; what it calls an argument is the name that the command's workflow has for it."""
    parser = _Parser(
        prog="pyrodrop",
        description="Reads droplets out of microscope images: how many, how large, and how sure that is.",
        epilog=_START,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_CommandParser)

    measure = commands.add_parser("measure", help="count and measure the droplets of images", description=_MEASURE)
    measure.add_argument(
        "paths", nargs="*", metavar="IMAGE", help="image files; without one, the micrograph that pyrodrop makes"
    )
    for setting in JOBS["measure"]:
        setting.add_to(measure)
    _common(measure, "pyrodrop-measure", seed=True, device=True)

    track = commands.add_parser("track", help="follow droplets through the frames of a stack", description=_TRACK)
    track.add_argument("path", metavar="STACK", help="a TIFF, OME-TIFF or ND2 stack, a video, or a folder of frames")
    track.add_argument(
        "--interval", dest="interval_s", type=number, metavar="S", help="seconds between frames (default: the file's)"
    )
    for setting in JOBS["measure"]:
        if setting.keyword in TRACKED:
            setting.add_to(track)
    track.add_argument("--workers", type=whole, metavar="N", help="processes that measure frames side by side")
    track.add_argument(
        "--scheduler", metavar="ADDRESS", help="a Dask scheduler whose workers do, tcp://host:8786 or a file"
    )
    _common(track, "pyrodrop-track", seed=True, device=True)

    learn = commands.add_parser("learn", help="let the network learn how your droplets look", description=_LEARN)
    learn.add_argument("folder", metavar="FOLDER", help=_LEARN_FOLDER)
    learn.add_argument("--channel", metavar="NAME", help="channel of the images, as for measure (default gray)")
    learn.add_argument("--minutes", type=number, metavar="M", help="how long to learn, about (default 10)")
    learn.add_argument("--steps", type=whole, metavar="N", help="how long in steps, in the place of --minutes")
    learn.add_argument("--weights", metavar="FILE.PT", help="network to begin with (default: the one that ships)")
    learn.add_argument("--force", action="store_true", default=None, help="write it even if it is no better")
    _common(learn, "pyrodrop-weights.pt", "file of the network", "FILE.PT", seed=True, device=True)

    report = commands.add_parser("report", help="write results as a page, ImageJ ROIs and labels", description=_REPORT)
    report.add_argument(
        "folder", metavar="DIR", help="a folder that measure, fit or batch has written, or a folder of such folders"
    )
    _taking_home(report, "also write the figures in these formats, the image at full resolution with a scale bar")
    _printing(report)

    edit = commands.add_parser("edit", help="apply corrections made by hand to results", description=_EDIT)
    edit.add_argument("folder", metavar="DIR", help="a folder that measure has written")
    edit.add_argument("edits", metavar="EDITS.JSON", help=_EDITS)
    edit.add_argument("--out", metavar="DIR", help="the new folder (default: the name of the old one with -edited)")
    _printing(edit)

    compare = commands.add_parser("compare", help="pool images by sample, and compare samples", description=_COMPARE)
    compare.add_argument("folders", nargs="+", metavar="DIR", help=_COMPARED)
    compare.add_argument("--name", dest="names", action="append", metavar="NAME", help=_NAME)
    _taking_home(compare, "formats of the figures (default png)")
    _common(compare, "pyrodrop-compare", seed=True)

    batch = commands.add_parser("batch", help="measure or fit many images, here or on a cluster", description=_BATCH)
    batch.add_argument("paths", nargs="*", metavar="PATH", help=_PATHS)
    batch.add_argument("--sheet", metavar="FILE.CSV", help=_SHEET)
    batch.add_argument("--job", choices=tuple(JOBS), default=DEFAULT_JOB, help=f"what to do (default {DEFAULT_JOB})")
    batch.add_argument("--scheduler", metavar="ADDRESS", help=_SCHEDULER)
    batch.add_argument("--workers", type=whole, metavar="N", help="local worker processes (default: one a core or GPU)")
    batch.add_argument("--workers-per-gpu", type=whole, metavar="N", help=_WORKERS_PER_GPU)
    batch.add_argument("--together", type=whole, metavar="N", help=_TOGETHER)
    _common(batch, "pyrodrop-batch", seed=True, device=True)
    for setting in dict.fromkeys(setting for job in JOBS.values() for setting in job if setting.of_many):
        setting.add_to(batch)

    channels = commands.add_parser("channels", help="draw the channels of an image", description=_CHANNELS)
    channels.add_argument("path", metavar="IMAGE", help="an image file")
    channels.add_argument("--scale", type=number, metavar="S", help="resize the image first (default 1)")
    channels.add_argument("--frame", type=whole, metavar="N", help="picture of a file that holds several, from 0")
    _common(channels, "pyrodrop-channels")

    fit = commands.add_parser("fit", help="fit a given number of droplets to one channel", description=_FIT)
    fit.add_argument(
        "path", nargs="?", metavar="IMAGE", help="an image file; without one, the micrograph that pyrodrop makes"
    )
    for setting in JOBS["fit"]:
        setting.add_to(fit)
    _common(fit, "pyrodrop-fit", seed=True, device=True)

    prior = commands.add_parser("prior", help="sample one of the post's priors and draw it", description=_PRIOR)
    prior.add_argument(
        "name", choices=("centres", "colours", "rendered"), metavar="PRIOR", help="centres, colours or rendered"
    )
    prior.add_argument("--size", type=whole, nargs=2, metavar=("W", "H"), help="of the image in px (default 1014 760)")
    prior.add_argument(
        "--droplets", dest="n_droplets", type=whole, metavar="N", help="number of droplets (default 100)"
    )
    prior.add_argument(
        "--warmup", dest="num_warmup", type=whole, metavar="N", help="warm-up iterations (default: the post's)"
    )
    prior.add_argument("--samples", dest="num_samples", type=whole, metavar="N", help="draws (default: the post's)")
    _common(prior, "pyrodrop-prior", seed=True, device=True)

    simulate = commands.add_parser("simulate", help="make a micrograph of known truth", description=_SIMULATE)
    simulate.add_argument(
        "--droplets", dest="n_droplets", type=whole, metavar="N", help="number of droplets (default 60)"
    )
    simulate.add_argument(
        "--size", type=whole, nargs=2, metavar=("W", "H"), help="of the image in px (default 400 300)"
    )
    _common(simulate, "pyrodrop-simulate", seed=True)
    return parser


def flags_of(command: str) -> dict[str, str]:
    """The flag of each argument of a command's workflow, by the argument's name in Python."""
    subparsers = next(action for action in command_parser()._actions if isinstance(action, argparse._SubParsersAction))
    actions = subparsers.choices[command]._actions
    return {action.dest: action.option_strings[-1] for action in actions if action.option_strings}


def _common(
    parser: argparse.ArgumentParser,
    out: str,
    what: str = "folder of the results",
    metavar: str = "DIR",
    seed: bool = False,
    device: bool = False,
) -> None:
    parser.add_argument("--out", default=out, metavar=metavar, help=f"{what} (default {out})")
    if seed:
        parser.add_argument(
            "--seed",
            type=whole,
            metavar="N",
            help="seed of all random numbers; the same seed gives the same numbers",
        )
    if device:
        parser.add_argument("--device", metavar="auto|cpu|cuda", help="where to compute (default auto)")
    _printing(parser)


def _taking_home(parser: argparse.ArgumentParser, figures: str) -> None:
    parser.add_argument("--xlsx", action="store_true", default=None, help="also write all tables as one workbook")
    parser.add_argument("--decimal-comma", action="store_true", default=None, help=_COMMA)
    parser.add_argument("--figures", metavar="svg,pdf,png", help=figures)


def _printing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress and no messages")


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import version

        print(f"pyrodrop {version('pyrodrop')}")
        parser.exit()
