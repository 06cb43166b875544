"""What was saved, read again, whichever of the jobs saved it."""

import os

from pyrodrop.results.posterior import load_state
from pyrodrop.workflows import fit, fitted, measurement


def load(path: str | os.PathLike[str], device: str = "auto") -> fitted.Fit | measurement.Measurement:
    """Read the fit that ``Fit.save`` wrote, or the measurement that ``Measurement.save`` wrote.

    Args:
        path: the file; it holds data and never code.
        device: where a fit is to go on, as for ``pyrodrop.fit``.

    Raises:
        CheckpointError: if the file is missing, damaged or something else.
        SettingError: if the device is not there.
    """
    state = load_state(path, (fitted.KIND, measurement.KIND), {})
    if state["kind"] == measurement.KIND:
        return measurement.load_measurement(path)
    return fit.load(path, device)
