"""The command line: one subcommand, one workflow. Parses, prints, exits."""

import argparse
import errno
import sys
from collections.abc import Callable, Sequence
from typing import Any

from pyrodrop.cli.options import JOBS
from pyrodrop.cli.parser import command_parser
from pyrodrop.cli.printing import one_line, show

__all__ = ["main"]

# What a disk may answer that is no fault of the program.
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EFBIG)
# What it answers to a name that no file can have.
_NAMES = (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENOENT, errno.EINVAL, errno.ENXIO)
# What torch says without memory, on the CPU and on a GPU, in place of a MemoryError.
_NO_MEMORY = ("can't allocate memory", "out of memory")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status.

    0: all done; 1: some of the work failed, which is named, or disk or memory are full or closed; 2: wrong
    usage or unreadable input; 130: interrupted; 143: ended by SIGTERM.
    """
    parser = command_parser()
    given = parser.parse_args(argv)
    if given.command is None:
        parser.error("no command was given; to begin, run pyrodrop measure, which needs no image")
    # Heavy imports wait until it is known what they are for, so that --help answers at once.
    from pyrodrop.workflows.termination import Terminated, terminated_by_signal

    try:
        with terminated_by_signal():
            _check_names(given)
            results = _COMMANDS[given.command](given)
            show(results, given.json)
    except KeyboardInterrupt as error:
        return _refuse(given, str(error) or "interrupted", 130)
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


def _refuse(given: argparse.Namespace, reason: str, status: int) -> int:
    print(f"pyrodrop {given.command}: {one_line(reason)}", file=sys.stderr)
    return status


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
    from pyrodrop.workflows.commands.fit import fit_image

    return fit_image(given.image, given.out, progress=not given.quiet, **_settings("fit", given))


def _measure(given: argparse.Namespace) -> dict[str, Any]:
    from pyrodrop.workflows.commands.measure import measure_images

    return measure_images(given.images, given.out, progress=not given.quiet, **_settings("measure", given))


def _batch(given: argparse.Namespace) -> dict[str, Any]:
    from pyrodrop.workflows.batch.batch import batch
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
    from pyrodrop.workflows.commands.prior import prior

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
    from pyrodrop.workflows.commands.channels import channels

    return channels(given.image, given.out, scale=given.scale, frame=given.frame)


def _simulate(given: argparse.Namespace) -> dict[str, Any]:
    from pyrodrop.workflows.commands.simulate import simulate_image

    size = None if given.size is None else (given.size[1], given.size[0])
    return simulate_image(given.out, n_droplets=given.droplets, size=size, seed=given.seed)


def _report(given: argparse.Namespace) -> dict[str, Any]:
    from pyrodrop.workflows.commands.report import report

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
