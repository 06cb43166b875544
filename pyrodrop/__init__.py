"""pyrodrop reads droplets out of microscope images with honest probability.

The public names are those of ``__all__``; each is imported when it is first used, so that importing the package
is fast and changes nothing global.
"""

import sys
from importlib import import_module
from importlib.metadata import version
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyrodrop import models as models
    from pyrodrop.images import ImageError as ImageError
    from pyrodrop.images import Micrograph as Micrograph
    from pyrodrop.images import read_image as read_image
    from pyrodrop.images.simulate import simulate as simulate
    from pyrodrop.inference.nuts import sample_nuts as sample_nuts
    from pyrodrop.render import render as render
    from pyrodrop.results.arviz_data import to_arviz as to_arviz
    from pyrodrop.results.calibration import calibrate as calibrate
    from pyrodrop.results.posterior import CheckpointError as CheckpointError
    from pyrodrop.results.report import write_report as write_report
    from pyrodrop.results.sizes import size_statistics as size_statistics
    from pyrodrop.workflows.fit import fit as fit
    from pyrodrop.workflows.fitted import Fit as Fit
    from pyrodrop.workflows.inject import inject as inject
    from pyrodrop.workflows.kept import load as load
    from pyrodrop.workflows.measure import measure as measure
    from pyrodrop.workflows.measurement import Measurement as Measurement
    from pyrodrop.workflows.settings import SettingError as SettingError

_HOMES = {
    "CheckpointError": "pyrodrop.results.posterior",
    "Fit": "pyrodrop.workflows.fitted",
    "ImageError": "pyrodrop.images",
    "Measurement": "pyrodrop.workflows.measurement",
    "Micrograph": "pyrodrop.images",
    "SettingError": "pyrodrop.workflows.settings",
    "calibrate": "pyrodrop.results.calibration",
    "fit": "pyrodrop.workflows.fit",
    "inject": "pyrodrop.workflows.inject",
    "load": "pyrodrop.workflows.kept",
    "measure": "pyrodrop.workflows.measure",
    "read_image": "pyrodrop.images",
    "render": "pyrodrop.render",
    "sample_nuts": "pyrodrop.inference.nuts",
    "simulate": "pyrodrop.images.simulate",
    "size_statistics": "pyrodrop.results.sizes",
    "to_arviz": "pyrodrop.results.arviz_data",
    "write_report": "pyrodrop.results.report",
}

__all__ = [
    "CheckpointError",
    "Fit",
    "ImageError",
    "Measurement",
    "Micrograph",
    "SettingError",
    "calibrate",
    "fit",
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


class _Package(ModuleType):
    def __setattr__(self, name: str, value: object) -> None:
        # Importing the folder render would put the module in the place of the public function of that name.
        super().__setattr__(name, value.render if name == "render" and isinstance(value, ModuleType) else value)


sys.modules[__name__].__class__ = _Package
