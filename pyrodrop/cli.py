"""The command line: one subcommand, one workflow. Parses, prints, exits."""

import argparse
import errno
import itertools
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

CHANNELS = ("hue", "saturation", "value", "L", "a", "b", "red", "green", "blue", "gray")
STARTS = ("peaks", "uniform")
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
    f"{', '.join(CHANNELS)}, or one that the file names (default: of fit hue, as in the post; of measure gray, and all "
    "takes all colours at once; saturation for the embedded micrograph)",
    (("metavar", "NAME"),),
)
_SCALE = Setting("--scale", "scale", "resize the image first (default 1)", (("type", float), ("metavar", "S")))
_FRAME = Setting(
    "--frame",
    "frame",
    "picture of a file that holds several, from 0",
    (("type", int), ("metavar", "N")),
    of_many=False,
)
_WHITE = Setting(
    "--white-level",
    "white",
    "level of the file that is white (default: from the file)",
    (("type", float), ("metavar", "L")),
)
_PIXEL_SIZE = Setting(
    "--pixel-size",
    "pixel_size_um",
    "micrometres a pixel of the file (default: from the file)",
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
            "number of droplets (default 500, the true number for the embedded micrograph; auto: is found)",
            (("type", _count), ("metavar", "N|auto")),
        ),
        Setting(
            "--steps",
            "steps",
            "iterations (default auto, until the loss has stopped falling; 20000 with --start uniform)",
            (("type", _count), ("metavar", "N|auto")),
        ),
        Setting(
            "--error-scale",
            "error_scale",
            "standard deviation of the noise (default 0.05, and 0.02 for the embedded micrograph)",
            (("type", float), ("metavar", "S")),
        ),
        Setting("--learning-rate", "learning_rate", "of Adam (default 0.01)", (("type", float), ("metavar", "R"))),
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
            "go on from this checkpoint for --steps more iterations",
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
            "of a droplet: gaussian, disc, radial (default auto: chosen by evidence)",
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
_DEFAULT_JOB = "measure"

_MEASURE = """Finds the droplets of images, with no threshold and no radius to guess, and writes droplets.csv,
summary.json with count and sizes and how sure they are, and figures. Without IMAGE it measures a micrograph that the
package makes itself, and compares with its truth."""
_FIT = """Fits droplets to a channel of an image and writes droplets.csv, summary.json, fit.pt, losses.csv and
figures. Without IMAGE it fits a micrograph that the package makes itself, and compares with its truth."""
_REPORT = """Writes report.html (one page that holds everything), rois.zip (for ImageJ's ROI Manager) and labels.tif (a
label image) into a folder of results; for a folder of such folders also a page that compares them."""
_BATCH = """Does one job to many images, one at a time on every core or GPU, and puts together one table. What was done
before, by content, settings and version, is not done again."""
_PATHS = "image files, folders of images, and patterns such as 'run*/**/*.tif'"
_SCHEDULER = "a Dask scheduler, as tcp://host:8786 or the file that it writes (default: workers of its own)"
_WORKERS_PER_GPU = "worker processes that share one GPU (default 1)"
_TOGETHER = "fit so many images side by side in a worker (default 1, on a GPU up to 64)"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status.

    0: all done; 1: some of the work failed, which is named, or disk or memory are full or closed; 2: wrong
    usage or unreadable input; 130: interrupted; 143: ended by SIGTERM.
    """
    given = _parser().parse_args(argv)
    # Heavy imports wait until it is known what they are for, so that --help answers at once.
    from pyrodrop.workflows.termination import Terminated, terminated_by_signal

    try:
        with terminated_by_signal():
            _check_names(given)
            results = _COMMANDS[given.command](given)
            _show(results, given.json)
    except KeyboardInterrupt:
        return _refuse(given, "interrupted", 130)
    except Terminated as error:
        return _refuse(given, str(error), 143)
    except BrokenPipeError:  # whoever read the results has read enough
        sys.stderr.close()
        return 0
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        if error.errno in _NAMES:
            return _refuse(given, f"{where}{error.strerror}; check the name", 2)
        if error.errno not in _DISK:
            raise
        return _refuse(given, f"{where}{error.strerror}; what was finished before is kept whole", 1)
    except (MemoryError, RuntimeError) as error:
        if not (isinstance(error, MemoryError) or any(word in str(error) for word in _NO_MEMORY)):
            raise
        return _refuse(given, "there is not enough memory for that; ask for less, or give a smaller image", 1)
    except _input_errors() as error:
        return _refuse(given, str(error), 2)
    return 1 if results.get("failed") else 0


# What a disk may answer that is no fault of the program.
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EFBIG)


# What it answers to a name that no file can have.
_NAMES = (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENOENT, errno.EINVAL, errno.ENXIO)
# What torch says without memory, on the CPU and on a GPU, in place of a MemoryError.
_NO_MEMORY = ("can't allocate memory", "out of memory")
_LONGEST = 1_500


def _refuse(given: argparse.Namespace, reason: str, status: int) -> int:
    print(f"pyrodrop {given.command}: {_one_line(reason)}", file=sys.stderr)
    return status


def _one_line(message: str) -> str:
    """A message without what is no part of a line, as names of files may have it: that is written as an escape."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in message)
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST // 2]} ... {shown[-_LONGEST // 2 :]}"


def _check_names(given: argparse.Namespace) -> None:
    """Raise ``SettingError`` for a name that no file has, before anything looks for it."""
    from pyrodrop.workflows.settings import SettingError

    for name in ("image", "images", "paths", "folder", "out", "resume", "scheduler"):
        found = getattr(given, name, None)
        for one in found if isinstance(found, list) else [found]:
            if one == "" or (one is not None and "\0" in one):
                raise SettingError(f"{name} is {one!r}, which is no name of a file or a folder; name another")


def _input_errors() -> tuple[type[Exception], ...]:
    from pyrodrop.workflows.settings import input_errors

    return input_errors()


def _fit(given: argparse.Namespace) -> dict[str, Any]:
    from pyrodrop.workflows.fit_image import fit_image

    return fit_image(given.image, given.out, progress=not given.quiet, **_settings("fit", given))


def _measure(given: argparse.Namespace) -> dict[str, Any]:
    from pyrodrop.workflows.measure_image import measure_images

    return measure_images(given.images, given.out, progress=not given.quiet, **_settings("measure", given))


def _batch(given: argparse.Namespace) -> dict[str, Any]:
    from pyrodrop.workflows.batch import batch
    from pyrodrop.workflows.settings import SettingError

    settings = _settings(given.job, given)
    for other in JOBS:
        for name in _settings(other, given).keys() - settings.keys():
            flag = next(setting.flag for setting in JOBS[other] if setting.keyword == name)
            raise SettingError(f"{flag} is a setting of --job {other}, not of {given.job}; leave it out")
    done = batch(
        given.paths,
        given.out,
        job=given.job,
        scheduler=given.scheduler,
        workers=given.workers,
        workers_per_gpu=given.workers_per_gpu,
        together=given.together,
        progress=not given.quiet,
        **settings,
    )
    if not given.json:  # they have been named as they happened
        del done["failures"]
    return done


def _settings(job: str, given: argparse.Namespace) -> dict[str, Any]:
    """The settings of a job that were given, by the names of the workflow's arguments."""
    found = {setting.keyword: getattr(given, setting.keyword, None) for setting in JOBS[job]}
    found |= {"seed": given.seed, "device": given.device}
    return {name: value for name, value in found.items() if value is not None}


def _prior(given: argparse.Namespace) -> dict[str, Any]:
    from pyrodrop.workflows.prior import prior

    return prior(
        given.prior,
        given.out,
        size=(given.size[1], given.size[0]),
        n_droplets=given.droplets,
        num_warmup=given.warmup,
        num_samples=given.samples,
        seed=given.seed,
        device=given.device,
        progress=not given.quiet,
    )


def _channels(given: argparse.Namespace) -> dict[str, Any]:
    from pyrodrop.workflows.channels import channels

    return channels(given.image, given.out, scale=given.scale)


def _simulate(given: argparse.Namespace) -> dict[str, Any]:
    from pyrodrop.workflows.simulate import simulate_image

    size = None if given.size is None else (given.size[1], given.size[0])
    return simulate_image(given.out, n_droplets=given.droplets, size=size, seed=given.seed)


def _report(given: argparse.Namespace) -> dict[str, Any]:
    from pyrodrop.workflows.report import report

    return report(given.folder)


_COMMANDS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "fit": _fit,
    "measure": _measure,
    "prior": _prior,
    "channels": _channels,
    "simulate": _simulate,
    "report": _report,
    "batch": _batch,
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {_one_line(message)}; see {self.prog} --help\n")


class _CommandParser(_Parser):
    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Parse, but refuse ``--option=--``: some versions of argparse take the -- away and leave an empty list."""
        for word in itertools.takewhile(lambda one: one != "--", args or ()):
            option, _, value = word.partition("=")
            if option.startswith("--") and value == "--":
                self.error(f"argument {option}: expected a value, got '--'")
        return super().parse_known_args(args, namespace)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="pyrodrop", description="Reads droplets out of microscope images with honest probability.")
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_CommandParser)

    fit = commands.add_parser("fit", help="fit droplets to a channel of an image", description=_FIT)
    fit.add_argument("image", nargs="?", metavar="IMAGE", help="an image file; without one, the embedded micrograph")
    for setting in JOBS["fit"]:
        setting.add_to(fit)
    _common(fit, "pyrodrop-fit", seed=True, device=True)

    measure = commands.add_parser("measure", help="how many droplets, how large, how sure", description=_MEASURE)
    measure.add_argument("images", nargs="*", metavar="IMAGE", help="image files; without one, the embedded micrograph")
    for setting in JOBS["measure"]:
        setting.add_to(measure)
    _common(measure, "pyrodrop-measure", seed=True, device=True)

    prior = commands.add_parser("prior", help="sample one of the post's priors with NUTS and draw it")
    prior.add_argument("prior", choices=("centres", "colours", "rendered"))
    prior.add_argument("--size", type=int, nargs=2, default=(1014, 760), metavar=("W", "H"), help="of the image in px")
    prior.add_argument("--droplets", type=int, default=100, metavar="N", help="number of droplets (default 100)")
    prior.add_argument("--warmup", type=int, metavar="N", help="warm-up iterations (default: the post's)")
    prior.add_argument("--samples", type=int, metavar="N", help="draws (default: the post's)")
    _common(prior, "pyrodrop-prior", seed=True, device=True)

    channels = commands.add_parser("channels", help="show the Lab and HSV channels of an image")
    channels.add_argument("image", metavar="IMAGE", help="an image file in colour")
    channels.add_argument("--scale", type=float, default=1.0, metavar="S", help="resize the image first (default 1)")
    _common(channels, "pyrodrop-channels")

    simulate = commands.add_parser("simulate", help="make a micrograph of a known truth")
    simulate.add_argument("--droplets", type=int, metavar="N", help="number of droplets")
    simulate.add_argument("--size", type=int, nargs=2, metavar=("W", "H"), help="of the image in px")
    _common(simulate, "pyrodrop-simulate", seed=True)

    report = commands.add_parser("report", help="write results as a page, ImageJ ROIs and a mask", description=_REPORT)
    report.add_argument(
        "folder", metavar="DIR", help="a folder that fit or measure has written, or one of such folders"
    )
    _printing(report)

    batch = commands.add_parser("batch", help="fit or measure many images, on Dask", description=_BATCH)
    batch.add_argument("paths", nargs="+", metavar="PATH", help=_PATHS)
    batch.add_argument("--job", choices=tuple(JOBS), default=_DEFAULT_JOB, help=f"what to do (default {_DEFAULT_JOB})")
    batch.add_argument("--scheduler", metavar="ADDRESS", help=_SCHEDULER)
    batch.add_argument("--workers", type=int, metavar="N", help="local worker processes (default: one a core or GPU)")
    batch.add_argument("--workers-per-gpu", type=int, metavar="N", help=_WORKERS_PER_GPU)
    batch.add_argument("--together", type=int, metavar="N", help=_TOGETHER)
    _common(batch, "pyrodrop-batch", seed=True, device=True)
    for setting in dict.fromkeys(setting for job in JOBS.values() for setting in job if setting.of_many):
        setting.add_to(batch)
    return parser


def _common(parser: argparse.ArgumentParser, out: str, seed: bool = False, device: bool = False) -> None:
    parser.add_argument("--out", default=out, metavar="DIR", help=f"folder of the results (default {out})")
    if seed:
        parser.add_argument("--seed", type=int, metavar="N", help="seed of all random numbers")
    if device:
        parser.add_argument("--device", default="auto", metavar="auto|cpu|cuda", help="where to compute")
    _printing(parser)


def _printing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress and no messages")


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import version

        print(f"pyrodrop {version('pyrodrop')}")
        parser.exit()


def _show(results: dict[str, Any], as_json: bool) -> None:
    """Print results on standard output, as JSON or one to a line."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:  # a name of a file may hold what no terminal shows
        reconfigure(errors="backslashreplace")
    if as_json:
        print(json.dumps(results, indent=2))
        return
    for name, value in results.items():
        if isinstance(value, dict) and any(isinstance(item, dict) for item in value.values()):
            print(f"{name}:")
            for key, item in value.items():
                print(f"  {key}: {_short(item)}")
        elif isinstance(value, list):
            print(f"{name}: {'none' if not value else ''}".rstrip())
            for item in value:
                print(f"  {item}")
        else:
            print(f"{name}: {_short(value)}")


def _short(value: object) -> str:
    """A result in a few characters; an estimate as its mean and its 90 % interval."""
    if isinstance(value, dict) and value.keys() == {"mean", "q05", "q95"}:
        mean, low, high = (_rounded(value[part]) for part in ("mean", "q05", "q95"))
        return f"{mean} ({low} to {high})"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_short(item)}" for key, item in value.items())
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _rounded(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"


if __name__ == "__main__":
    sys.exit(main())
