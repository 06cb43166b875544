"""The command line: words become the arguments of one workflow, whose results are printed. Nothing is computed here."""

import argparse
import errno
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, NoReturn

from pyrodrop.cli.options import JOBS
from pyrodrop.cli.parser import command_parser, flags_of
from pyrodrop.cli.printing import one_line, show, with_flags

__all__ = ["main", "run"]

# What a disk may answer that is no fault of the program.
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EFBIG)
# What it answers to a name that no file can have.
_NAMES = (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENOENT, errno.EINVAL, errno.ENXIO)
# What torch says without memory, on the CPU and on a GPU, in place of a MemoryError.
_NO_MEMORY = ("can't allocate memory", "out of memory")

# Exit status, as shells have it, of what SIGINT and SIGTERM have ended.
_INTERRUPTED, _TERMINATED = 130, 143

# Where the workflow of a command is written. It is imported when the command is run, so that --help answers at once.
_WORKFLOWS = {
    "fit": ("pyrodrop.workflows.commands.fit", "fit_image"),
    "measure": ("pyrodrop.workflows.commands.measure", "measure_images"),
    "track": ("pyrodrop.workflows.commands.stacks.track", "track_stack"),
    "prior": ("pyrodrop.workflows.commands.prior", "prior"),
    "channels": ("pyrodrop.workflows.commands.channels", "channels"),
    "simulate": ("pyrodrop.workflows.commands.simulate", "simulate_image"),
    "learn": ("pyrodrop.workflows.commands.learn", "learn"),
    "edit": ("pyrodrop.workflows.commands.edit", "edit_folder"),
    "compare": ("pyrodrop.workflows.commands.compare", "compare_folders"),
    "report": ("pyrodrop.workflows.commands.report", "report"),
    "batch": ("pyrodrop.workflows.batch.batch", "batch"),
}
# They show how far they are.
_LONG = ("fit", "measure", "track", "learn", "prior", "batch")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status.

    0: all done; 1: some of the work failed, which is named, or disk or memory are full or closed; 2: wrong
    usage or unreadable input; 130: interrupted; 143: ended by SIGTERM.
    """
    parser = command_parser()
    words = parser.parse_args(argv)
    if words.command is None:
        parser.error("no command was given; to begin, run pyrodrop measure, which needs no image")
    from pyrodrop.workflows.output_folder import no_empty_folder_left
    from pyrodrop.workflows.settings import SettingError
    from pyrodrop.workflows.termination import Terminated, terminated_by_signal

    try:
        with terminated_by_signal():
            _check_names(words)
            with no_empty_folder_left(getattr(words, "out", None)):
                results = _run(words)
            show(results, words.json)
    except SettingError as error:  # known without an import of torch, and so at once
        return _refuse(words, with_flags(error, flags_of(words.command)), 2)
    except KeyboardInterrupt as error:
        return _refuse(words, str(error) or "interrupted", _INTERRUPTED)
    except Terminated as error:
        return _refuse(words, str(error), _TERMINATED)
    except BrokenPipeError:  # whoever read the results has read enough
        sys.stderr.close()
        return 0
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        if error.errno in _NAMES:
            return _refuse(words, f"{where}{error.strerror}; check the name", 2)
        if error.errno not in _DISK:
            raise
        return _refuse(words, f"{where}{error.strerror}; what was finished before is kept whole", 1)
    except (MemoryError, RuntimeError) as error:
        if not (isinstance(error, MemoryError) or any(word in str(error) for word in _NO_MEMORY)):
            raise
        return _refuse(words, "there is not enough memory for that; ask for less, or give a smaller image", 1)
    except _input_errors() as error:
        return _refuse(words, with_flags(error, flags_of(words.command)), 2)
    return 1 if results.get("failed") else 0


def run() -> NoReturn:
    """Run the command line of this process, and end the process with the exit status."""
    status = main()
    if status in (_INTERRUPTED, _TERMINATED):
        # Whoever ended it waits for the end, and to take torch apart can take seconds on a busy machine. All that is
        # to be kept is on the disk, and all processes of its own are gone.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def _run(words: argparse.Namespace) -> dict[str, Any]:
    """Call the command's workflow with what was given, and with no more."""
    # A positional argument is passed on even if it is None, as that of the micrograph that pyrodrop makes.
    unnamed = ("path", "paths")
    given = {name: value for name, value in vars(words).items() if value is not None or name in unnamed}
    quiet = given.pop("quiet")
    as_json = given.pop("json")
    if words.command in _LONG:
        given["progress"] = not quiet
    if "size" in given:  # height and width inside, width and height for a person
        given["size"] = (given["size"][1], given["size"][0])
    if words.command == "batch":
        _check_job(words.job, given)
    module, name = _WORKFLOWS[given.pop("command")]
    results: dict[str, Any] = getattr(import_module(module), name)(**given)
    if words.command == "batch" and not as_json:  # they have been named as they happened
        del results["failures"]
    return results


def _check_job(job: str, given: Mapping[str, Any]) -> None:
    """Raise ``SettingError`` for a setting of another job than that of the batch."""
    from pyrodrop.workflows.settings import SettingError

    known = {setting.keyword for setting in JOBS[job]}
    for other, settings in JOBS.items():
        for setting in settings:
            if setting.of_many and setting.keyword in given and setting.keyword not in known:
                raise SettingError(f"{setting.flag} is a setting of --job {other}, not of {job}; leave it out")


def _refuse(words: argparse.Namespace, reason: str, status: int) -> int:
    print(f"pyrodrop {words.command}: {one_line(reason)}", file=sys.stderr)
    return status


def _check_names(words: argparse.Namespace) -> None:
    """Raise ``SettingError`` for a name that no file has, before anything looks for it."""
    from pyrodrop.workflows.settings import SettingError

    for argument in (
        "path",
        "paths",
        "folder",
        "folders",
        "edits",
        "out",
        "resume",
        "weights",
        "mask",
        "sheet",
        "scheduler",
    ):
        value = getattr(words, argument, None)
        for name in value if isinstance(value, list) else [value]:
            if name == "" or (name is not None and "\0" in name):
                raise SettingError(f"{argument} is {name!r}, which no file or folder is called; name another", argument)


def _input_errors() -> tuple[type[Exception], ...]:
    from pyrodrop.workflows.settings import input_errors

    return input_errors()
