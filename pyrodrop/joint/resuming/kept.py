"""What was worked out before, by the digest of all that it was worked out from."""

import hashlib
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]


class Kept(Protocol):
    """Where arrays are kept that take long to work out."""

    def read(self, digest: str) -> Arrays | None:
        """What was kept under a digest; None where nothing was."""

    def keep(self, digest: str, arrays: Arrays) -> None:
        """Keep arrays under a digest."""


def digest_of(*parts: object) -> str:
    """SHA-256 of arrays to the bit, and of all else as Python writes it, in hexadecimal digits."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype.str}{part.shape}".encode())
            digest.update(np.ascontiguousarray(part).data if part.size else b"")
        else:
            digest.update(repr(part).encode())
        digest.update(b"\n")
    return digest.hexdigest()
