"""What a result is known by: the image's content, the settings and the version that it was made with."""

import hashlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyrodrop.results.whole import write_whole

# Within this time of its last change a file may change again without a trace: clocks of disks are coarse.
_SETTLED_NS = 2_000_000_000
# They say where and how fast a result is made, not which.
_NO_PART_OF_IT = ("device",)
# (size, time of the last change in ns, inode)
Mark = tuple[int, int, int]


def mark_of(path: str) -> Mark:
    """Size, time of the last change and inode of a file: while they stay, its content is taken to stay."""
    found = os.stat(path)
    return found.st_size, found.st_mtime_ns, found.st_ino


def key_of(content: str, frame: int | None, job: str, settings: Mapping[str, Any], version: str) -> str:
    """The key of a result, 64 hexadecimal digits; settings that are None are as good as absent."""
    given = {name: value for name, value in settings.items() if value is not None and name not in _NO_PART_OF_IT}
    parts = {"content": content, "frame": frame, "job": job, "settings": given, "version": version}
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


class Contents:
    """Hashes of the contents of files, remembered from run to run as long as a file's mark stays.

    Args:
        memory: the file that they are remembered in; one that is damaged is begun anew.
    """

    def __init__(self, memory: Path) -> None:
        self._memory = memory
        self._known = _read(memory)
        self._new = False

    def of(self, path: str) -> tuple[str, Mark]:
        """SHA-256 of a file's content in hexadecimal digits, and the mark that it had before it was read.

        Raises:
            OSError: if it cannot be read.
        """
        mark = mark_of(path)
        known = self._known.get(path)
        if known is not None and known[:3] == [*mark]:
            return known[3], mark
        begun = time.time_ns()
        with open(path, "rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        if begun - mark[1] > _SETTLED_NS:
            self._known[path] = [*mark, content]
            self._new = True
        return content, mark

    def remember(self) -> None:
        """Write what has been learned."""
        if self._new:
            write_whole(self._memory, lambda temporary: temporary.write_text(json.dumps(self._known)))
            self._new = False


def _read(memory: Path) -> dict[str, list[Any]]:
    try:
        known = json.loads(memory.read_text())
        if all(len(entry) == 4 and len(entry[3]) == 64 for entry in known.values()):
            return dict(known)
    except (OSError, ValueError, TypeError, AttributeError):
        pass
    return {}
