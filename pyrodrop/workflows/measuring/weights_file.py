"""The file of the network's weights: those that ship with the package, or those that were learnt in a laboratory."""

import hashlib
import os
from pathlib import Path
from typing import Any

from pyrodrop.detection.network.weights import SHIPPED, network_for_use
from pyrodrop.workflows.settings import SettingError


def weights_file(weights: str | os.PathLike[str] | None) -> Path:
    """The file, absolute and known to hold a network of this version; that which ships where none is given.

    Raises:
        SettingError: the file is missing, cannot be read, or holds no such network.
    """
    if weights is None:
        return SHIPPED
    path = Path(weights).absolute()
    try:
        network_for_use(path)
    except FileNotFoundError:
        raise SettingError(f"weights {path} is no file; give one that pyrodrop learn wrote", "weights") from None
    except OSError as error:
        raise SettingError(
            f"weights {path} cannot be read ({error.strerror}); check its permissions", "weights"
        ) from None
    except ValueError as error:
        raise SettingError(f"weights {path}: {error}", "weights") from error
    return path


def weights_in_summary(weights: Path) -> dict[str, Any]:
    """What a summary says of the weights: name and SHA-256 of the file, and nothing of those that ship."""
    if weights == SHIPPED:
        return {}
    return {"weights": {"file": str(weights), "sha256": hashlib.sha256(weights.read_bytes()).hexdigest()}}
