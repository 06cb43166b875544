"""Light that falls off over the image, and multiplies droplets as it multiplies what is around them.

The joint fit adds droplets to a background. Where that slopes because the light does, a droplet of height a h slopes,
too, by a h m g d with g the slope of the log of the background, d the place from the centre and m = 1; if droplets
shine by themselves on a background that slopes, m = 0. The fit takes the slope for an error of the centre: with J its
derivatives and t the picture of the slope for m = 1, by m (J^T J)^-1 J^T t. What all droplets leave over says what m
is, which a priori is normal around a half with a standard deviation of a half. This is of first order: where the light
would change by more than a tenth within a radius r, |g| r > 1 / 10, what slopes is no light that falls on droplets.
"""

from typing import NamedTuple

import numpy as np

from pyrodrop.joint.joint_fit import JointFit
from pyrodrop.joint.one_by_one.one_droplet import LocalView
from pyrodrop.joint.priors import Array
from pyrodrop.rendering import profile_named
from pyrodrop.rendering.kernels.columns import columns_of_droplets

_PRIOR_MEAN, _PRIOR_SD = 0.5, 0.5
_FIRST_ORDER = 0.1


class Drift(NamedTuple):
    """How far light that slopes has moved N fitted droplets.

    share: m, its posterior mean. sd: that of m. by: px in x and y by which the fit is off for m = 1, (N, 2).
    """

    share: float
    sd: float
    by: Array


def drift_of(fit: JointFit) -> Drift:
    """What sloping light does to the centres of a fit; nothing where the background is not positive everywhere."""
    n, by = len(fit.x), np.zeros((len(fit.x), 2))
    profile, residual = profile_named(fit.profile), fit.residuals.image.astype(np.float64)
    if n == 0 or fit.background.min() <= 0:
        return Drift(_PRIOR_MEAN, _PRIOR_SD, by)
    size = residual.shape[1:]
    slopes = np.gradient(np.log(fit.background.astype(np.float64)), axis=(1, 2))
    columns = columns_of_droplets(profile, fit.x, fit.y, fit.r, fit.shape, size, profile.left_out)
    rows, along = (np.clip(np.rint(v), 0, side - 1).astype(int) for v, side in ((fit.y, size[0]), (fit.x, size[1])))
    precision, projected = _PRIOR_SD**-2.0, _PRIOR_MEAN * _PRIOR_SD**-2.0
    for k in range(n):
        view = LocalView.of(columns, k)
        if not view.pictures.size:
            continue
        matrix = view.derivatives(fit.amplitude[:, k], fit.noise)
        down = np.arange(view.window[0].start, view.window[0].stop)[:, None] - fit.y[k]
        across = np.arange(view.window[1].start, view.window[1].stop) - fit.x[k]
        scale = (fit.amplitude[:, k] / fit.noise)[:, None, None] * view.pictures[0]
        by_row, by_column = (slope[:, rows[k], along[k], None, None] for slope in slopes)
        if np.hypot(by_row, by_column).max() * fit.r[k] > _FIRST_ORDER:
            continue
        sloped = (scale * (by_row * down + by_column * across)).ravel()
        answer = np.linalg.lstsq(matrix, sloped, rcond=None)[0]
        rest = sloped - matrix @ answer
        left = (residual[(slice(None), *view.window)] / fit.noise[:, None, None]).ravel()
        share = float(fit.posterior.inflation[k, 0]) ** 2
        precision += float(rest @ rest) / share
        projected += float(rest @ left) / share
        by[k] = answer[:2]
    return Drift(projected / precision, precision**-0.5, by)
