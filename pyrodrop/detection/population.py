"""Which of the circles are droplets: the droplets of one image are alike, and clutter is not like them.

Noise is ruled out first, by how far the whole rim stands out of it. Among what is left, strength
and roundness are a mixture of one or two populations. The stronger is the droplets. The weaker is clutter, bits of
rims and texture, unless its circles are as round as droplets are: then the image shows two kinds of droplets.

A likelihood of mixtures has several tops, and which one is climbed hangs on where one begins: the highest counts.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pyrodrop.detection.circles import RAYS, Circles
from pyrodrop.detection.selection import roundness
from pyrodrop.pursuit.refine import Doubles

SHOWN = 7.0  # evidence from which on circles are shown to the mixture: what the best of noise comes to
# Standard deviations by which the rim of a droplet as likely as not stands out of noise. In 18 images of 400 x 400
# pixels of noise, white or smoothed by 1 or 2.5 px, the best of all circles reached 8.3.
EVIDENT = 9.0
SAMPLES_APART = 2.5  # samples of a level along a rim from one independent gradient to the next: their correlation,
# that of white noise smoothed by one sample, has fallen to a fifth
ROUND = -1.5  # median log roundness of a population of droplets: a rim with a tenth missing that strays by a tenth
LEAST_SPREAD = 0.4  # standard deviation of a population at least: droplets that are alike differ by a third or so
ALONE = 4.0  # log odds of being a droplet where nothing but droplets seems to be seen
FEW = 4  # circles that are too few to tell two populations apart
CUTS = 0.2, 0.5, 0.8  # quantiles at which circles are cut in two to begin with


class Mixture(NamedTuple):
    """A mixture of two bivariate normal distributions without correlation, the weaker first.

    Attributes:
        weight: (2,) shares.
        mean, sd: (2, 2) a row per population, a column for log of strength times radius and for log roundness.
    """

    weight: Doubles
    mean: Doubles
    sd: Doubles


class Population(NamedTuple):
    """What the circles of an image, or of some parts of a larger one, say of its droplets and clutter.

    Attributes:
        features: (n, 2) log of strength times radius and log roundness of circles that stand out of noise.
        worth: (2,) strength times radius times roundness of all that are surely no noise, dark and bright.
    """

    features: Doubles
    worth: Doubles


def population(circles: Circles, own: Doubles) -> Population:
    """The population that circles with these shares of rim of their own are of."""
    if not len(own):
        return Population(np.zeros((0, 2)), np.zeros(2))
    stands_out, features = evidence(circles, own), _features(circles, own)
    worths = np.where(_logistic(stands_out - EVIDENT) >= 0.5, np.exp(features.sum(1)), 0.0)
    worth = np.array([worths[circles.sign < 0].sum(), worths[circles.sign > 0].sum()])
    # What noise makes is clutter too, as far as rims that may be noise show it.
    return Population(features[stands_out >= SHOWN], worth)


def pooled(populations: Sequence[Population]) -> Population:
    """The population of several parts of one image, at least one."""
    features, worths = zip(*populations, strict=True)
    return Population(np.concatenate(features), np.sum(worths, axis=0))


def presence(circles: Circles, own: Doubles, known: Population | None = None) -> Doubles:
    """Probability (n,) that each circle is a droplet, given the share of rim that is its own.

    Args:
        circles: n of them.
        own: share of its rim that is each one's own, (n,).
        known: the population to be like; without one, or one that has seen nothing, that of these circles themselves.
    """
    if not len(own):
        return np.zeros(0)
    real = _logistic(evidence(circles, own) - EVIDENT)
    features = _features(circles, own)
    known = population(circles, own) if known is None or not known.worth.any() else known
    # Droplets of one image are of one sign, or of both in number: the odds of a sign are its share of all worth.
    share = np.where(circles.sign > 0, known.worth[1], known.worth[0]) / max(float(known.worth.sum()), 1e-300)
    odds = np.full(len(own), ALONE)
    if known.worth.any() and len(known.features) > FEW:
        mixture = two_populations(known.features)
        if mixture is not None and _has_clutter(mixture):
            odds = log_odds(mixture, features)
    odds = odds + np.log(np.clip(2.0 * share, 1e-9, 1.0))
    return real * _logistic(odds)


def _features(circles: Circles, own: Doubles) -> Doubles:
    shape = roundness(circles) + np.log(np.maximum(own, 1.0 / RAYS))
    return np.stack([np.log(np.maximum(circles.strength * circles.r, 1e-300)), shape], 1)


def evidence(circles: Circles, own: Doubles) -> Doubles:
    """Standard deviations by which a rim as a whole stands out of noise: its own edges' certainty, added up."""
    independent = 2.0 * np.pi * circles.r / circles.step / SAMPLES_APART * circles.seen * own
    found: Doubles = circles.certainty * np.sqrt(independent)
    return found


def two_populations(features: Doubles) -> Mixture | None:
    """The likeliest mixture of two normal distributions of features (n, 2), or None if one describes them as well.

    By expectation and maximisation from several cuts in two; compared with one distribution by the Bayesian information
    criterion, two having five parameters more.
    """
    best, highest = None, -math.inf
    for values in (features.sum(1), features[:, 0], features[:, 1]):
        for cut in np.quantile(values, CUTS):
            mixture = _climbed(features, (values > cut).astype(float))
            height = float(np.logaddexp(*_log_parts(mixture, features)).sum())
            if height > highest:
                best, highest = mixture, height
    spread = np.maximum(features.std(0), LEAST_SPREAD)
    one = float(_log_normal(features, features.mean(0), spread).sum())
    return None if best is None or highest - one <= 2.5 * math.log(len(features)) else _ordered(best)


def _climbed(features: Doubles, stronger: Doubles) -> Mixture:
    """The top of the likelihood that is reached from a first guess (n,) of who is of the stronger population."""
    mixture = _maximise(features, stronger)
    for _ in range(500):
        updated = _maximise(features, _logistic(_difference(mixture, features)))
        moved = float(np.abs(updated.mean - mixture.mean).max())
        mixture = updated
        if moved < 1e-6:
            break
    return mixture


def _ordered(mixture: Mixture) -> Mixture:
    """The same with the population of more worth second: its mean log worth is the sum of its features' means."""
    order = np.argsort(mixture.mean.sum(1), kind="stable")
    return Mixture(mixture.weight[order], mixture.mean[order], mixture.sd[order])


def _has_clutter(mixture: Mixture) -> bool:
    """Whether the first population is weaker by more than droplets that are alike differ, and too astray for them."""
    return bool(mixture.mean[1, 0] - mixture.mean[0, 0] > LEAST_SPREAD and mixture.mean[0, 1] < ROUND)


def log_odds(mixture: Mixture, features: Doubles) -> Doubles:
    """Log odds (n,) that a circle is of the stronger population; never lower for more strength or roundness.

    How fast a normal distribution falls beyond its mean is a matter of form: a droplet that is stronger or rounder
    than the mean of droplets is no less a droplet, and one fainter than the mean of clutter no more.
    """
    top = np.minimum(features, mixture.mean[1])
    odds = _difference(mixture, top)
    weak = features[:, 0] < mixture.mean[0, 0]
    floor = np.where(weak[:, None], mixture.mean[0], top)
    least: Doubles = np.where(weak, np.minimum(odds, _difference(mixture, floor)), odds)
    return least


def _difference(mixture: Mixture, features: Doubles) -> Doubles:
    weaker, stronger = _log_parts(mixture, features)
    return stronger - weaker


def _maximise(features: Doubles, stronger: Doubles) -> Mixture:
    weights = np.stack([1.0 - stronger, stronger])
    total = np.maximum(weights.sum(1), 1e-9)
    mean = weights @ features / total[:, None]
    square = (weights[:, :, None] * (features - mean[:, None]) ** 2).sum(1) / total[:, None]
    return Mixture(total / len(features), mean, np.maximum(np.sqrt(square), LEAST_SPREAD))


def _log_parts(mixture: Mixture, features: Doubles) -> Doubles:
    """Log density of the features under the weaker and the stronger population, (2, n)."""
    share = np.log(np.maximum(mixture.weight, 1e-300))
    return np.stack([share[k] + _log_normal(features, mixture.mean[k], mixture.sd[k]) for k in range(2)])


def _log_normal(features: Doubles, mean: Doubles, sd: Doubles) -> Doubles:
    density: Doubles = (-0.5 * ((features - mean) / sd) ** 2 - np.log(sd)).sum(1) - math.log(2.0 * math.pi)
    return density


def _logistic(odds: Doubles) -> Doubles:
    share: Doubles = 1.0 / (1.0 + np.exp(-np.clip(odds, -50.0, 50.0)))
    return share
