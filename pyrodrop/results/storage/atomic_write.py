"""Files that are written whole or not at all."""

import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from pyrodrop.results.storage.processes import may_live, this_process

# A name has 255 bytes at most, and a character up to four of them; the words for the process take their share.
_LONGEST_STEM = 30


def atomic_write(path: str | os.PathLike[str], write: Callable[[Path], object]) -> None:
    """Write a file by way of a temporary one beside it, so that nobody ever sees half of it.

    The temporary file is hidden and has this process in its name: ``clear_leftovers`` takes it away if the process is
    killed before it can.

    Args:
        path: the file to be written or replaced.
        write: writes to the temporary path that it is given, which has the same suffix.
    """
    path = Path(path)
    prefix = f".{path.stem[:_LONGEST_STEM]},{this_process()},"
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        umask = os.umask(0)  # mkstemp makes files that only their owner reads
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def clear_leftovers(folder: Path) -> None:
    """Take away the temporary files of ``atomic_write`` in a folder whose processes were killed at it.

    Those of processes that may live stay, and so does every file that cannot be taken away.
    """
    for path in folder.glob(".*,*,*,*,*"):
        with contextlib.suppress(OSError):
            _, *process, _ = path.name.rsplit(",", 4)
            if path.is_file() and not may_live(",".join(process), path.stat().st_mtime):
                path.unlink()
