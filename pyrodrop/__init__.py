"""pyrodrop reads droplets out of microscope images with honest probability.

The public names are those of ``__all__``; each is imported when it is first used, so that importing the package
is fast and changes nothing global.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyrodrop import models as models
    from pyrodrop.images import ImageError as ImageError
    from pyrodrop.images import Micrograph as Micrograph
    from pyrodrop.images import read_image as read_image
    from pyrodrop.images.simulation.simulate import simulate as simulate
    from pyrodrop.inference.nuts import sample_nuts as sample_nuts
    from pyrodrop.rendering import render as render
    from pyrodrop.results.checks.calibration import calibrate as calibrate
    from pyrodrop.results.exports.arviz_data import to_arviz as to_arviz
    from pyrodrop.results.page.image_report import write_report as write_report
    from pyrodrop.results.statistics.sizes import size_statistics as size_statistics
    from pyrodrop.results.storage.checkpoint import CheckpointError as CheckpointError
    from pyrodrop.workflows.appearance.appearance import Appearance as Appearance
    from pyrodrop.workflows.appearance.fit_appearance import fit_appearance as fit_appearance
    from pyrodrop.workflows.commands.load import load as load
    from pyrodrop.workflows.fitting.fit import fit as fit
    from pyrodrop.workflows.fitting.fit_result import Fit as Fit
    from pyrodrop.workflows.measuring.inject import inject as inject
    from pyrodrop.workflows.measuring.measure import measure as measure
    from pyrodrop.workflows.measuring.measurement import Measurement as Measurement
    from pyrodrop.workflows.samples.compare import compare as compare
    from pyrodrop.workflows.samples.comparison import Comparison as Comparison
    from pyrodrop.workflows.settings import SettingError as SettingError
    from pyrodrop.workflows.tracking.track import track as track
    from pyrodrop.workflows.tracking.tracks import Tracks as Tracks

_HOMES = {
    "Appearance": "pyrodrop.workflows.appearance.appearance",
    "CheckpointError": "pyrodrop.results.storage.checkpoint",
    "Comparison": "pyrodrop.workflows.samples.comparison",
    "Fit": "pyrodrop.workflows.fitting.fit_result",
    "ImageError": "pyrodrop.images",
    "Measurement": "pyrodrop.workflows.measuring.measurement",
    "Micrograph": "pyrodrop.images",
    "SettingError": "pyrodrop.workflows.settings",
    "Tracks": "pyrodrop.workflows.tracking.tracks",
    "calibrate": "pyrodrop.results.checks.calibration",
    "compare": "pyrodrop.workflows.samples.compare",
    "fit": "pyrodrop.workflows.fitting.fit",
    "fit_appearance": "pyrodrop.workflows.appearance.fit_appearance",
    "inject": "pyrodrop.workflows.measuring.inject",
    "load": "pyrodrop.workflows.commands.load",
    "measure": "pyrodrop.workflows.measuring.measure",
    "read_image": "pyrodrop.images",
    "render": "pyrodrop.rendering",
    "sample_nuts": "pyrodrop.inference.nuts",
    "simulate": "pyrodrop.images.simulation.simulate",
    "size_statistics": "pyrodrop.results.statistics.sizes",
    "to_arviz": "pyrodrop.results.exports.arviz_data",
    "track": "pyrodrop.workflows.tracking.track",
    "write_report": "pyrodrop.results.page.image_report",
}

__all__ = [
    "Appearance",
    "CheckpointError",
    "Comparison",
    "Fit",
    "ImageError",
    "Measurement",
    "Micrograph",
    "SettingError",
    "Tracks",
    "calibrate",
    "compare",
    "fit",
    "fit_appearance",
    "inject",
    "load",
    "measure",
    "models",
    "read_image",
    "render",
    "sample_nuts",
    "simulate",
    "size_statistics",
    "to_arviz",
    "track",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return version("pyrodrop")
    if name == "models":
        return import_module("pyrodrop.models")
    if name not in _HOMES:
        raise AttributeError(f"module 'pyrodrop' has no attribute {name!r}")
    found = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__, "__version__"])
