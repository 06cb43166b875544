"""The folder that results go to: made where it is missing, refused where it cannot be written to, and cleared."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pyrodrop.results.storage.atomic_write import clear_leftovers
from pyrodrop.workflows.settings import SettingError

# What a full disk says, or a full quota.
FULL = (errno.ENOSPC, errno.EDQUOT)


def open_folder(path: str | os.PathLike[str]) -> Path:
    """Make the folder if it is not there yet, and see that it can be written to.

    Files that killed runs have left in it half-written, which are hidden, are taken away.

    Raises:
        SettingError: if it is a file, or cannot be made or written to.
        OSError: if the disk is full.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise SettingError(f"out {folder} is not a folder; name another", "out") from error
    except OSError as error:
        if error.errno in FULL:
            raise
        raise SettingError(f"out {folder} cannot be made ({error.strerror}); name another", "out") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise SettingError(f"out {folder} cannot be written to; name another folder or change its permissions", "out")
    clear_leftovers(folder)
    return folder


@contextmanager
def no_empty_folder_left(path: str | os.PathLike[str] | None) -> Iterator[None]:
    """Where what happens in here is broken off, take away the folders that it made on the way to ``path`` and in it.

    Only those that are empty: what holds a file stays. None stands for no folder.
    """
    folder = None if path is None else Path(path)
    missing = [] if folder is None else [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        yield
    except BaseException:
        if missing:
            within = [Path(root) for root, _, _ in os.walk(missing[0], topdown=False)]
            for each in [*within, *missing]:
                with suppress(OSError):  # it holds something, or was never made
                    each.rmdir()
        raise
