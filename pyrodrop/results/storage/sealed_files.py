"""Files of our own that carry their digest: what a disk or a hand has altered is seen, and not taken for true."""

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyrodrop.results.storage.file_writers import write_json

_DIGEST = "digest"


class AlteredError(ValueError):
    """A file is not as it was written."""


def digest_of(content: Mapping[str, Any]) -> str:
    """SHA-256 of what JSON can hold, whatever its order, in hexadecimal digits."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def write_sealed(content: Mapping[str, Any], path: Path) -> None:
    """Write JSON with its digest, whole or not at all."""
    write_json({**content, _DIGEST: digest_of(content)}, path)


def read_sealed(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What ``write_sealed`` wrote, without the digest.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is not as it was written.
    """
    if not os.path.isfile(path):  # to open a pipe is to wait for whoever writes to it
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(path))
    with open(path, "rb") as file, contextlib.suppress(RecursionError):  # of lists in lists in lists
        content = json.load(file)
        if isinstance(content, dict) and content.pop(_DIGEST, None) == digest_of(content):
            return content
    raise AlteredError(f"{path} is not as it was written")
