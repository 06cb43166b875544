"""Images of samples: how many droplets and which sizes the images of one sample show, which differ from each other."""

import pyro
import pyro.distributions as dist
from jaxtyping import Float
from torch import Tensor

from pyrodrop.models.unknown_mean import AroundUnknownMean, KnownOfMean

# How far images of a sample may be expected to differ, relative to what they have in common: scales of half-Cauchy
# priors, so that a tenth is as likely as not for sizes, and that much larger differences are not ruled out (Gelman,
# "Prior distributions for variance parameters in hierarchical models", Bayesian Analysis 1, 2006).
SPREAD_OF_SIZES, SPREAD_OF_NUMBERS = 0.2, 0.5
# Standard deviation of the log of what the images have in common, in units that make it about 1: as good as flat.
FLAT = 3.0


def numbers_of_images(
    numbers: Float[Tensor, "samples images"],
    areas: Float[Tensor, "samples images"],
    errors: Float[Tensor, "samples images"],
) -> None:
    """The number of droplets in each image of some samples.

    An image of area A has Poisson(A d_i) droplets, whose density d_i differs from image to image as a gamma
    distribution of mean ``density`` and coefficient of variation ``spread``; that the numbers themselves are not known
    exactly adds to the latter. So d is the mean over all images that could have been taken of the sample.

    Args:
        numbers: how many droplets were counted.
        areas: of what was looked at, in units in which a sample has about one droplet.
        errors: how sure the counts are, their standard deviations over their means.

    Where a sample has fewer images than others, images of next to no area with no droplets in them say nothing.
    """
    with pyro.plate("samples", numbers.shape[0], dim=-2):
        density = pyro.sample("density", dist.LogNormal(areas.new_zeros(()), FLAT))
        spread = pyro.sample("spread", dist.HalfCauchy(areas.new_tensor(SPREAD_OF_NUMBERS)))
        concentration = 1 / (spread.square() + errors.square())
        with pyro.plate("images", numbers.shape[1], dim=-1):
            pyro.sample("numbers", dist.GammaPoisson(concentration, concentration / (density * areas)), obs=numbers)


def sizes_of_images(log_sizes: Float[Tensor, "rows images"], errors: Float[Tensor, "rows images"]) -> None:
    """A number that tells of the droplets' sizes, as the Sauter mean, for each image; a row a number and sample.

    Its log in image i is t + ``spread`` e_i + error_i f_i, with standard normal e and f and a t that the images of a
    sample have in common, that of the typical image. See ``typical_sizes`` for what is then known of it.

    Args:
        log_sizes: logs of the numbers, less about their row's mean.
        errors: their standard deviations, as few droplets in an image make them large; where a row has fewer images
            than others, so large that they say nothing.
    """
    with pyro.plate("rows", log_sizes.shape[0]):
        spread = pyro.sample("spread", dist.HalfCauchy(log_sizes.new_tensor(SPREAD_OF_SIZES)))
        pyro.sample("log_sizes", AroundUnknownMean(_scales(spread, errors), FLAT), obs=log_sizes)


def typical_sizes(
    spread: Float[Tensor, "*draws rows"], log_sizes: Float[Tensor, "rows images"], errors: Float[Tensor, "rows images"]
) -> KnownOfMean:
    """What ``sizes_of_images`` knows of the typical image's log t, given draws of the spread: (*draws, rows)."""
    return AroundUnknownMean(_scales(spread, errors), FLAT).mean_given(log_sizes)


def _scales(spread: Float[Tensor, "*draws rows"], errors: Float[Tensor, "rows images"]) -> Tensor:
    """Standard deviations of the images' logs around the typical image's, (*draws, rows, images)."""
    return (spread[..., None].square() + errors.square()).sqrt()
