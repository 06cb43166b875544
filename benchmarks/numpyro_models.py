"""The post's models in NumPyro: as the post wrote them, and with the product a careful user would write.

The post writes the image as one array of pixels by droplets, which costs an exponential for each of its
entries. A Gaussian droplet is a product of a row and a column, so that the same image is two small matrices
and one product; ``separable_*`` are that. Each model is otherwise the post's, line by line.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax import Array, lax
from numpyro import deterministic, plate, sample
from numpyro.infer import MCMC, NUTS, SVI, Trace_ELBO
from numpyro.infer.autoguide import AutoNormal
from numpyro.optim import Adam

Model = Callable[..., None]


def centres(w: int, h: int, n_droplets: int) -> None:
    """The post's model1."""
    with plate("droplets", n_droplets):
        sample("x", dist.Uniform(0, w))
        sample("y", dist.Uniform(0, h))
        sample("r", dist.LogNormal(1.5, 0.75))


def colours(w: int, h: int, n_droplets: int) -> None:
    """The post's first model2."""
    with plate("droplets", n_droplets):
        sample("x", dist.Uniform(0, w))
        sample("y", dist.Uniform(0, h))
        sample("r", dist.LogNormal(1.5, 0.75))
        sample("h", dist.Uniform(0, 1))
        sample("s", dist.Beta(2, 2))
        sample("v", dist.Beta(5, 2))


def rendered(w: int, h: int, n_droplets: int) -> None:
    """The post's second model2."""
    with plate("droplets", n_droplets):
        x = sample("x", dist.Uniform(0, w))
        y = sample("y", dist.Uniform(0, h))
        r = sample("r", dist.LogNormal(1.5, 0.75))
        with plate("pixels", w * h):
            deterministic("val", jnp.sum(jnp.exp(-(_distance(x, y, w, h) ** 2) / (2 * r**2)), axis=-1))


def separable_rendered(w: int, h: int, n_droplets: int) -> None:
    """The post's second model2, its image as one product."""
    with plate("droplets", n_droplets):
        x = sample("x", dist.Uniform(0, w))
        y = sample("y", dist.Uniform(0, h))
        r = sample("r", dist.LogNormal(1.5, 0.75))
    deterministic("val", _product(x, y, r, jnp.ones(n_droplets), w, h))


def channel_fit(w: int, h: int, n_droplets: int, channel: Array, error_scale: float) -> None:
    """The post's model3."""
    bg = sample("bg", dist.Uniform(0, 1))
    with plate("droplets", n_droplets):
        x = sample("x", dist.Uniform(0, 1)) * w
        y = sample("y", dist.Uniform(0, 1)) * h
        r = sample("r", dist.LogNormal(1.5, 0.75))
        amplitude = sample("amplitude", dist.Uniform(0, 1))
        droplets = jnp.exp(-(_distance(x, y, w, h) ** 2) / (2 * r**2))
        val = deterministic("val", bg + jnp.sum(amplitude[None, None, :] * droplets, axis=-1))
        deterministic("diff", val - channel)
    sample("obs", dist.Normal(0, error_scale), obs=val - channel)


def separable_channel_fit(w: int, h: int, n_droplets: int, channel: Array, error_scale: float) -> None:
    """The post's model3, its image as one product."""
    bg = sample("bg", dist.Uniform(0, 1))
    with plate("droplets", n_droplets):
        x = sample("x", dist.Uniform(0, 1)) * w
        y = sample("y", dist.Uniform(0, 1)) * h
        r = sample("r", dist.LogNormal(1.5, 0.75))
        amplitude = sample("amplitude", dist.Uniform(0, 1))
    val = deterministic("val", bg + _product(x, y, r, amplitude, w, h))
    deterministic("diff", val - channel)
    sample("obs", dist.Normal(0, error_scale), obs=val - channel)


def _distance(x: Array, y: Array, w: int, h: int) -> Array:
    x_dist = jnp.abs(x - jnp.arange(w)[:, None])
    y_dist = jnp.abs(y - jnp.arange(h)[:, None])
    return jnp.sqrt(x_dist**2 + y_dist[:, None] ** 2)


def _product(x: Array, y: Array, r: Array, amplitude: Array, w: int, h: int) -> Array:
    columns = jnp.exp(-((x[:, None] - jnp.arange(w)) ** 2) / (2 * r[:, None] ** 2))
    rows = amplitude[:, None] * jnp.exp(-((y[:, None] - jnp.arange(h)) ** 2) / (2 * r[:, None] ** 2))
    return rows.T @ columns


class Written(NamedTuple):
    """The models of one way of writing them, by the name of the post's run."""

    centres: Model
    colours: Model
    rendered: Model
    fit: Model


AS_THE_POST = Written(centres, colours, rendered, channel_fit)
SEPARABLE = Written(centres, colours, separable_rendered, separable_channel_fit)


def nuts_rate(model: Model, size: tuple[int, int], run: dict[str, Any], seed: int) -> float:
    """Iterations a second of a NUTS run from the prior, compilation and the draws' images included."""
    width, height = size
    start = time.perf_counter()
    mcmc = MCMC(NUTS(model), num_warmup=run["num_warmup"], num_samples=run["num_samples"], progress_bar=False)
    mcmc.run(jax.random.PRNGKey(seed), w=width, h=height, n_droplets=run["n_droplets"])
    jax.block_until_ready(mcmc.get_samples())
    return float((run["num_warmup"] + run["num_samples"]) / (time.perf_counter() - start))


def svi_rate(
    model: Model,
    channel: Array,
    n_droplets: int,
    error_scale: float,
    learning_rate: float,
    iterations: int,
    seed: int,
) -> tuple[float, float]:
    """Iterations a second of the fit once it is compiled, and its loss after that many and one more."""
    height, width = channel.shape
    svi = SVI(model, AutoNormal(model), Adam(learning_rate), Trace_ELBO())
    arguments = (width, height, n_droplets, channel, error_scale)
    state = svi.init(jax.random.PRNGKey(seed), *arguments)

    @jax.jit
    def advance(state: Any, steps: Array) -> tuple[Any, Array]:
        def step(_: Array, carry: tuple[Any, Array]) -> tuple[Any, Array]:
            return svi.update(carry[0], *arguments)

        return lax.fori_loop(0, steps, step, (state, jnp.zeros(())))

    state, _ = jax.block_until_ready(advance(state, 1))  # compiles
    start = time.perf_counter()
    state, loss = jax.block_until_ready(advance(state, iterations))
    return iterations / (time.perf_counter() - start), float(loss)
