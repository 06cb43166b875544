"""A saved fit or measurement read again: ``pyrodrop.load``."""

import os

from pyrodrop.results.storage.checkpoint import load_state
from pyrodrop.workflows.appearance import appearance
from pyrodrop.workflows.fitting import fit
from pyrodrop.workflows.fitting import fit_result as fitted
from pyrodrop.workflows.measuring import measurement, saved


def load(
    path: str | os.PathLike[str], device: str = "auto"
) -> fitted.Fit | measurement.Measurement | appearance.Appearance:
    """Read what ``save`` wrote of a fit, a measurement or an appearance.

    Args:
        path: the file; it holds data and never code.
        device: where a fit is to go on, as for ``pyrodrop.fit``.

    Returns:
        A ``Fit``, a ``Measurement`` or an ``Appearance``, whichever was saved.

    Raises:
        CheckpointError: if the file is missing, damaged or something else.
        SettingError: if the device is not there.

    Example:
        >>> import os, tempfile, pyrodrop
        >>> image, truth = pyrodrop.simulate(4, (40, 48), seed=2, kind="gray", radius_px=(3, 5))
        >>> fit = pyrodrop.fit(image.channel("gray"), 4, steps=20, progress=False)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     fit.save(os.path.join(folder, "fit.pt"))
        ...     further = pyrodrop.load(os.path.join(folder, "fit.pt")).resume(10, progress=False)
        >>> len(further.losses)
        30
    """
    state = load_state(path, (fitted.KIND, saved.KIND, appearance.KIND), {})
    if state["kind"] == appearance.KIND:
        return appearance.load_appearance(path)
    if state["kind"] == saved.KIND:
        return measurement.Measurement(*saved.parts_in(path))
    return fit.load_fit(path, device)
