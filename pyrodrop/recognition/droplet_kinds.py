"""Kinds of measured droplets: by radius and colour, with what is known of each."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pyrodrop.recognition.kinds import kinds_of
from pyrodrop.recognition.learnt import shared_sd
from pyrodrop.results.statistics.counts import LIKELY, count_distribution
from pyrodrop.results.statistics.kinds import Kind, Kinds
from pyrodrop.results.statistics.sizes import size_statistics

Array = NDArray[np.float64]


def features_of(radius_px: Array, amplitude: Array) -> tuple[Array, Array, Array]:
    """What kinds are told by, with its errors, of posterior draws: means (N, F), covariances (N, F, F), scales (C,).

    The log of the radius, and of each channel asinh(a / s), with s the median of the amplitudes' standard deviations:
    far above its error the log of an amplitude with its sign, near it the amplitude itself. So droplets of one colour
    that are brighter or fainter lie on a line, and a log-normal population is normal.

    Args:
        radius_px: draws, (draws, N), positive.
        amplitude: draws, (draws, C, N).
    """
    scales = np.maximum(np.median(amplitude.std(0), axis=1), 1e-12)
    drawn = np.concatenate([np.log(radius_px)[:, None], np.arcsinh(amplitude / scales[:, None])], 1)
    mean = drawn.mean(0)
    off = drawn - mean
    covariance = np.einsum("dfn,dgn->nfg", off, off) / len(drawn)
    return np.ascontiguousarray(mean.T), covariance, scales


def kinds_of_droplets(
    draws: Mapping[str, Tensor], presence_of: Tensor, pixel_size_um: float | None, seed: int
) -> Kinds:
    """The kinds of a measurement's candidates.

    How many there are is learnt from those that are likelier droplets than not; every candidate then has its
    probability of each. Those of the first kind are the most, and so on.

    Args:
        draws: of the posterior: radius_px, (draws, N), and amplitude, (draws, C, N).
        presence_of: probability that each is a droplet, (N,).
        pixel_size_um: side of a pixel in micrometres, for the sizes; None for sizes in px.
        seed: of the intervals' draws.
    """
    radius = draws["radius_px"].double().numpy()
    presence = presence_of.double().numpy()
    likely = presence >= LIKELY
    if not likely.any():
        return Kinds((), np.zeros((len(presence), 0)))
    features, errors, scales = features_of(radius, draws["amplitude"].double().numpy())
    mixture = kinds_of(features[likely], errors[likely], presence[likely])[-1]
    probability = mixture.membership_of(features, errors)
    order = np.argsort(-(presence @ probability), kind="stable")
    probability = probability[:, order]
    each = []
    for number, k in enumerate(order):
        own = presence * probability[:, number]
        each.append(
            Kind(
                number + 1,
                count_distribution(np.clip(own, 0, 1), shared_sd()),
                size_statistics(
                    2 * radius, np.clip(own, 0, 1), pixel_size_um=pixel_size_um, shared_sd=shared_sd(), seed=seed
                ),
                float(np.exp(mixture.centre[k, 0])),
                np.sinh(mixture.centre[k, 1:]) * scales,
            )
        )
    return Kinds(tuple(each), probability)
