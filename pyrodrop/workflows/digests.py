"""Files of our own that carry their digest: what a disk or a hand has altered is seen, and not taken for true."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyrodrop.workflows.folder import write_json

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
    with open(path, "rb") as file:
        content = json.load(file)
    if not isinstance(content, dict) or content.pop(_DIGEST, None) != digest_of(content):
        raise AlteredError(f"{path} is not as it was written")
    return content
