"""The key of a result, by which it is never made twice: the image's content, the settings and the version."""

import errno
import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pyrodrop.results.storage.sealed_files import read_sealed, write_sealed
from pyrodrop.workflows.settings import SettingError

# Within this time of its last change a file may change again without a trace: clocks of disks are coarse.
_COARSEST_CLOCK_NS = 2_000_000_000
# They say where and how fast a result is made, not which.
_NO_PART_OF_IT = ("device",)
# They name files, whose content it hangs on.
FILES = ("weights", "mask")
# (size, time of the last change in ns, inode)
Mark = tuple[int, int, int]


def mark_of(path: str) -> Mark:
    """Size, time of the last change and inode of a file: while they stay, its content is taken to stay."""
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns, status.st_ino


def key_of(content: str, frame: int | None, job: str, settings: Mapping[str, Any], version: str) -> str:
    """The key of a result, 64 hexadecimal digits; settings that are None are as good as absent."""
    asked = {name: value for name, value in settings.items() if value is not None and name not in _NO_PART_OF_IT}
    parts = {"content": content, "frame": frame, "job": job, "settings": asked, "version": version}
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def settings_of_key(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings as keys have them: of a file, as of weights and a mask, its content, whatever it is called.

    Raises:
        SettingError: if that file cannot be read.
    """
    known = dict(settings)
    for setting in FILES:
        name = known.get(setting)
        if name is None:
            continue
        try:
            if not os.path.isfile(name):  # a pipe would be waited for
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            with open(name, "rb") as file:
                known[setting] = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise SettingError(f"{setting} {name} cannot be read ({error.strerror}); check the name", setting) from None
    return known


class Content(NamedTuple):
    """What a file holds.

    Attributes:
        hash: SHA-256 of all its bytes, in hexadecimal digits.
        frames: how many pictures; 1 where that is not known, so that whoever reads it says why.
        mark: the mark that it had before it was read.
    """

    hash: str
    frames: int
    mark: Mark


class Contents:
    """What files hold, remembered from run to run as long as a file's mark stays.

    Args:
        memory: the file that it is remembered in; one that is damaged is begun anew.
        count: counts the pictures of a file.
    """

    def __init__(self, memory: Path, count: Callable[[str], int]) -> None:
        self._memory = memory
        self._count = count
        self._known = _read(memory)
        self._new = False

    def of(self, path: str) -> Content:
        """What a file holds.

        Raises:
            OSError: if it cannot be read.
        """
        mark = mark_of(path)
        known = self._known.get(path)
        if known is not None and known[:3] == [*mark]:
            return Content(known[3], known[4], mark)
        begun = time.time_ns()
        with open(path, "rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        frames = self._count(path)
        if begun - mark[1] > _COARSEST_CLOCK_NS:
            self._known[path] = [*mark, content, frames]
            self._new = True
        return Content(content, frames, mark)

    def remember(self) -> None:
        """Write what has been learned."""
        if self._new:
            write_sealed({"files": self._known}, self._memory)
            self._new = False


def _read(memory: Path) -> dict[str, list[Any]]:
    try:
        known = read_sealed(memory)["files"]
        if all(len(entry) == 5 for entry in known.values()):
            return dict(known)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    return {}
