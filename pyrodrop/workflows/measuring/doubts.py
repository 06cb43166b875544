"""What to be wary of in a measurement, and how far it is to be trusted: its model is held against its image."""

from typing import TYPE_CHECKING

from pyrodrop.images.hot_pixels import warnings_of_hot_pixels
from pyrodrop.rendering import profile_named
from pyrodrop.results.checks.meetings import Meetings, meetings_of
from pyrodrop.results.checks.trust import Trust, trust_of
from pyrodrop.workflows.measuring.pixel_warnings import warnings_of_pixels

if TYPE_CHECKING:
    from pyrodrop.joint.one_by_one.predictive_check import PredictiveCheck
    from pyrodrop.workflows.measuring.measurement import Measurement


def check_of(measurement: "Measurement") -> "PredictiveCheck":
    """How likely the fitted model is to leave as much of an image as it has left of this one."""
    # Late: with it come SciPy and Numba, which a saved measurement is read without.
    from pyrodrop.joint.one_by_one.predictive_check import FittedDroplets, predictive_check

    sites = {name: value.numpy() for name, value in measurement.sites.items()}
    droplets = FittedDroplets(
        profile_named(measurement.profile),
        sites["x"],
        sites["y"],
        sites["r"],
        measurement.shape.numpy(),
        sites["amplitude"],
    )
    residual = measurement.residual.double().numpy()
    return predictive_check(droplets, residual, sites["noise"], sites["bg"][0].size, measurement.looked_at)


def meetings_in(measurement: "Measurement") -> Meetings:
    """How the counted droplets meet: whether the image is the sum of both there, and which lie within others."""
    from pyrodrop.joint.posterior import noise_correlation  # late: with it comes SciPy

    x, y, radius = measurement.table[["x_px", "y_px", "radius_px"]].to_numpy(float).T
    correlation = noise_correlation(measurement.residual.double().numpy())
    return meetings_of(measurement.residual_map, x, y, radius, correlation)


def trust_in(measurement: "Measurement") -> Trust:
    """How far the measurement is to be trusted, in a word, and why."""
    check = check_of(measurement)
    others = _of_pixels(measurement) + measurement.meetings.warnings
    return trust_of(measurement.n_droplets, measurement.efficiency.warnings, others, check.rings, check.neighbours)


def warnings_of(measurement: "Measurement") -> tuple[str, ...]:
    """What to be wary of, in words; empty where nothing is."""
    parts = measurement.image_fit, measurement.meetings, measurement.efficiency, measurement.sizes
    return _of_pixels(measurement) + tuple(warning for part in parts for warning in part.warnings)


def _of_pixels(measurement: "Measurement") -> tuple[str, ...]:
    return warnings_of_hot_pixels(len(measurement.hot_pixels)) + warnings_of_pixels(measurement.channels)
