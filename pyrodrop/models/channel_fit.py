"""Droplets against a channel of an image: the post's model 3."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import pyro
import pyro.distributions as dist
import torch
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from pyrodrop.models.assumed.noise_families import NORMAL, NoiseFamily, noise_family
from pyrodrop.models.assumed.site_priors import FRACTION, POSITIVE, REAL, GivenPriors, SitePrior, prior_at, site_priors
from pyrodrop.models.plates import droplet_plate, of_images
from pyrodrop.models.priors import LEVELS, LOG_RADIUS
from pyrodrop.rendering import log_likelihood, render

# The sites that may be given another prior, what their values may be, and the priors that they have.
SITES = {"bg": REAL, "x": FRACTION, "y": FRACTION, "r": POSITIVE, "amplitude": REAL}
USUAL = (
    *(SitePrior(site, "Uniform", (("low", LEVELS[0]), ("high", LEVELS[1])), LEVELS) for site in ("bg", "amplitude")),
    *(SitePrior(site, "Uniform", (("low", 0.0), ("high", 1.0)), FRACTION) for site in ("x", "y")),
    SitePrior("r", "LogNormal", (("loc", LOG_RADIUS[0]), ("scale", LOG_RADIUS[1])), POSITIVE),
)

# In the place of a plate of channels, where there is one channel and none is wanted.
_ONE: AbstractContextManager[object] = nullcontext()


def channel_fit(
    w: int,
    h: int,
    n_droplets: int,
    channel: Tensor,
    error_scale: float | Tensor,
    with_val: bool = True,
    known: Tensor | None = None,
    priors: GivenPriors = None,
    noise: str | NoiseFamily = NORMAL,
) -> None:
    """The post's model 3: Gaussian droplets on a flat background explain a channel up to Gaussian noise.

    Sites: bg ~ Uniform(0, 1), shape (); x, y ~ Uniform(0, 1), fractions of the width and the height;
    r ~ LogNormal(1.5, 0.75) in px; amplitude ~ Uniform(0, 1), each of shape (n_droplets,); the deterministic
    image ``val`` and ``diff`` = val - channel, shape (h, w); and obs ~ Normal(val, error_scale), observed as
    the channel, which is the same density as the post's Normal(0, error_scale) observed as the difference.

    Of C channels of one image, (C, h, w), the droplets share centres and radii, and each channel has a background and
    amplitudes of its own, a plate "channels": bg has the shape (C, 1), amplitude (C, n_droplets), val, diff and obs
    (C, h, w).

    Args:
        w, h: width and height of the image in px.
        n_droplets: the number of droplets, at least 1.
        channel: the channel, shape (h, w), or channels, (C, h, w), of float32 or float64.
        error_scale: standard deviation of the noise, in units of the channel, positive. A site of the caller's own
            model may be given: a tensor of the shape of bg.
        with_val: False leaves the sites ``val`` and ``diff`` out, and the likelihood of ``obs`` is then taken
            in one pass that keeps no image. The density is the same.
        known: pixels that are known, (h, w), of bool; the others are missing from the likelihood. None for all.
        priors: by the name of a site, of bg, x, y, r and amplitude, a distribution of shape () in the place of its
            prior.
        noise: family of the noise, whose scale is ``error_scale``: "normal", "student", or a ``StudentNoise`` or
            ``CameraNoise``.

    Raises:
        ValueError: if the channel is not of these shapes or types, for no droplets, or for priors or a noise that the
            model cannot have.
    """
    _check_numbers(channel)
    if channel.dim() not in (2, 3) or tuple(channel.shape[-2:]) != (h, w):
        raise ValueError(
            f"the channel has shape {tuple(channel.shape)}, expected (h, w) = ({h}, {w}), or (C, h, w) of C channels"
        )
    if known is not None and (tuple(known.shape) != (h, w) or known.dtype != torch.bool):
        raise ValueError(
            f"known has shape {tuple(known.shape)} and type {known.dtype}, expected (h, w) = ({h}, {w}) of bool"
        )
    own, family = site_priors(priors, SITES), noise_family(noise)
    each = _ONE if channel.dim() == 2 else pyro.plate("channels", len(channel), dim=-2)
    low, high = LEVELS
    with each:
        bg = pyro.sample("bg", prior_at(own, "bg", channel, dist.Uniform(channel.new_full((), low), high)))
    droplets = droplet_plate(n_droplets)
    with droplets:
        anywhere = dist.Uniform(channel.new_zeros(()), 1.0)
        x = pyro.sample("x", prior_at(own, "x", channel, anywhere)) * w
        y = pyro.sample("y", prior_at(own, "y", channel, anywhere)) * h
        size = dist.LogNormal(channel.new_full((), LOG_RADIUS[0]), LOG_RADIUS[1])
        r = pyro.sample("r", prior_at(own, "r", channel, size))
    with each, droplets:
        height = dist.Uniform(channel.new_full((), low), high)
        amplitude = pyro.sample("amplitude", prior_at(own, "amplitude", channel, height))
    x, y, r, amplitude = of_images(bg, x, y, r, amplitude)
    image = DropletImage(x, y, r, amplitude, bg, error_scale, (h, w))
    # Of several channels the dimension of the droplets' plate stands between that of the channels and the pixels.
    observed = channel if channel.dim() == 2 else channel[:, None]
    if with_val or known is not None or family != NORMAL:
        mean = image.mean
        val = mean if channel.dim() == 2 else mean.squeeze(-3)
        if with_val:
            pyro.deterministic("val", val, event_dim=channel.dim())
            pyro.deterministic("diff", val - channel, event_dim=channel.dim())
        seen = family.around(mean, image.noise)
        if known is not None:
            seen = seen.mask(known)
        with each:
            pyro.sample("obs", seen.to_event(2), obs=observed)
    else:
        with each:
            pyro.sample("obs", image, obs=observed)


def _check_numbers(channel: object) -> None:
    """Raise ``ValueError`` for what is no tensor of float32 or float64."""
    if not isinstance(channel, Tensor):
        kind = f"{type(channel).__module__.partition('.')[0]}.{type(channel).__qualname__}"
        raise ValueError(f"the channel is a {kind} and no tensor; make one of it, as in torch.as_tensor(channel)")
    if not channel.is_floating_point():
        raise ValueError(f"the channel is a tensor of {channel.dtype}; make it floating point, as in channel.float()")
    if channel.dtype not in (torch.float32, torch.float64):
        raise ValueError(
            f"the channel is {channel.dtype}, in which the log density of an image overflows or loses every digit that "
            "matters; make it float32, as in channel.float(), or float64"
        )


class DropletImage(TorchDistribution):
    """Distribution of an image: droplets rendered on a background, and independent Gaussian noise.

    Its log density is that of ``Normal(render(...), error_scale)``, summed over the pixels, but is taken
    together with its gradient in one pass over the image. Leading dimensions broadcast.

    Args:
        x, y, r: centres and radii in px, shape (..., N).
        amplitude: heights, shape (..., N).
        bg: background level, shape (...).
        error_scale: standard deviation of the noise, positive, a number or of shape (...).
        size: height and width (H, W) in px; the event shape.
    """

    # Arguments are validated by the sites they come from.
    arg_constraints = {}  # noqa: RUF012  (torch reads this attribute of the class)
    support = constraints.independent(constraints.real, 2)
    has_rsample = True

    def __init__(
        self,
        x: Tensor,
        y: Tensor,
        r: Tensor,
        amplitude: Tensor,
        bg: Tensor,
        error_scale: float | Tensor,
        size: tuple[int, int],
    ) -> None:
        scale_shape = error_scale.shape if isinstance(error_scale, Tensor) else ()
        leading = (t.shape[:-1] for t in (x, y, r, amplitude))
        batch = torch.broadcast_shapes(*leading, bg.shape, scale_shape)
        self.x, self.y, self.r, self.amplitude, self.bg = x, y, r, amplitude, bg
        self.error_scale = error_scale
        super().__init__(batch, torch.Size(size), validate_args=False)

    def expand(self, batch_shape: Sequence[int], _instance: object = None) -> "DropletImage":
        """The same distribution with its batch shape broadcast to batch_shape."""
        sites = (self.x, self.y, self.r, self.amplitude)
        x, y, r, amplitude = (site.expand(*batch_shape, site.shape[-1]) for site in sites)
        h, w = self.event_shape
        return DropletImage(x, y, r, amplitude, self.bg.expand(*batch_shape), self.error_scale, (h, w))

    @property
    def noise(self) -> float | Tensor:
        """The standard deviation as it broadcasts with images: a number, or of shape () or (..., 1, 1)."""
        scale = self.error_scale
        return scale[..., None, None] if isinstance(scale, Tensor) and scale.dim() else scale

    @property
    def mean(self) -> Tensor:
        """The image without noise, shape (..., H, W)."""
        h, w = self.event_shape
        return render(self.x, self.y, self.r, self.amplitude, self.bg, (h, w))

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draws of the image with noise, shape sample_shape + (..., H, W)."""
        mean = self.mean.expand(*sample_shape, *self.batch_shape, *self.event_shape)
        return mean + self.noise * torch.randn_like(mean)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density of the image ``value``, shape (H, W) for all, or (..., H, W); returns shape (...)."""
        if value.dim() > len(self.event_shape):  # images of channels are the same for all particles
            batch = torch.broadcast_shapes(value.shape[:-2], self.batch_shape)
            value = value.expand(*batch, *self.event_shape)
        return log_likelihood(self.x, self.y, self.r, self.amplitude, self.bg, value, self.error_scale)
