"""The post's priors sampled with NUTS and drawn as pictures: ``pyrodrop prior``."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from pyrodrop.inference.nuts import sample_nuts
from pyrodrop.models import centres, colours, rendered
from pyrodrop.results.figures import fit_figures as plots
from pyrodrop.results.storage.checkpoint import save_state
from pyrodrop.results.storage.file_writers import write_figure
from pyrodrop.workflows.output_folder import open_folder
from pyrodrop.workflows.settings import SettingError, one_of, pick_device, positive_whole, whole

# The post's warm-up and number of draws.
RUNS: dict[str, tuple[Callable[..., None], int, int]] = {
    "centres": (centres, 1000, 100),
    "colours": (colours, 1000, 100),
    "rendered": (rendered, 500, 10),
}
# Height and width of the post's images, in px.
POST_SIZE = (760, 1014)
# All draws are held at once, and shown in one picture.
_MOST_NUMBERS, _MOST_ASPECT = 10**9, 50
_TAB10 = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd")


def draw_prior(
    name: str,
    size: tuple[int, int],
    n_droplets: int = 100,
    *,
    num_warmup: int | None = None,
    num_samples: int | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: bool = True,
) -> Mapping[str, Tensor]:
    """Sample one of the post's priors with NUTS.

    Args:
        name: centres, colours or rendered.
        size: height and width (H, W) in px.
        n_droplets: the number of droplets.
        num_warmup, num_samples: iterations; the post's where not given.
        seed: of the whole run.
        device: auto, cpu or cuda.
        progress: show a progress bar on standard error.
    """
    return _sampler(name, size, n_droplets, num_warmup, num_samples, seed, device, progress)()


def prior(
    name: str, out: str, *, size: tuple[int, int] = POST_SIZE, n_droplets: int = 100, seed: int = 0, **how: Any
) -> dict[str, Any]:
    """Sample a prior, write the post's picture of it and its draws into the folder ``out``, and say where.

    Takes the arguments of ``draw_prior``. The draws go to ``prior-NAME.pt``, a dict of tensors by site name that
    loads with ``weights_only=True``.
    """
    sampler = _sampler(name, size, n_droplets, seed=seed, **how)
    folder = open_folder(out)
    draws = {site: values.cpu() for site, values in sampler().items()}
    picture, tensors = folder / f"prior-{name}.png", folder / f"prior-{name}.pt"
    save_state(draws, tensors)
    write_figure(prior_figure(name, draws, size), picture)
    return {
        "prior": name,
        "n_droplets": n_droplets,
        "draws": len(draws["x"]),
        "seed": seed,
        "picture": str(picture),
        "tensors": str(tensors),
    }


def _sampler(
    name: str,
    size: tuple[int, int],
    n_droplets: int,
    num_warmup: int | None = None,
    num_samples: int | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: bool = True,
) -> Callable[[], Mapping[str, Tensor]]:
    """What draws, once all that it was asked for has been checked."""
    model, warmup, samples = RUNS[one_of("prior", name, tuple(RUNS))]
    height, width = size
    if min(size) < 1:
        raise SettingError(f"size is {width} x {height}, expected two whole numbers of at least 1", "size")
    n_droplets = positive_whole("n_droplets", n_droplets)
    num_samples = positive_whole("num_samples", samples if num_samples is None else num_samples)
    numbers = num_samples * (6 * n_droplets + (height * width if name == "rendered" else 0))
    if numbers > _MOST_NUMBERS:
        raise SettingError(
            f"{num_samples} draws of {n_droplets} droplets are {numbers:.3g} numbers, expected at most "
            f"{_MOST_NUMBERS:.3g}; ask for fewer num_samples or n_droplets, or a smaller size",
            "num_samples",
            "n_droplets",
            "size",
        )
    if max(height, width) > _MOST_ASPECT * min(height, width):
        raise SettingError(
            f"size is {width} x {height}, expected one side at most {_MOST_ASPECT} times the other; give another",
            "size",
        )
    return partial(
        sample_nuts,
        model,
        width,
        height,
        n_droplets,
        num_warmup=positive_whole("num_warmup", warmup if num_warmup is None else num_warmup),
        num_samples=num_samples,
        seed=whole("seed", seed),
        device=pick_device(device),
        progress=progress,
    )


def prior_figure(name: str, draws: Mapping[str, Tensor], size: tuple[int, int]) -> Figure:
    """The post's picture of a prior.

    Centres are circles of the first five draws in five colours, colours are circles of the first draw in their
    own colours, and rendered are the first three draws as 1 - val.
    """
    height, width = size
    shape = height / width
    if name == "rendered":
        count = min(3, len(draws["val"]))
        figure, axes = plots.figure(count, 1, panel=(5.0, 4.3 * shape + 0.3))
        plots.rendered_draws(axes, draws["val"][:count])
        return figure
    figure, axes = plots.figure(panel=(6.0, 6.0 * shape))
    if name == "colours":
        hsv = torch.stack([draws[site][0] for site in ("h", "s", "v")], -1)
        plots.circles(axes[0], draws["x"][0], draws["y"][0], draws["r"][0], size, _rgb(hsv))
        return figure
    for number in range(min(5, len(draws["x"]))):
        x, y, r = (draws[site][number] for site in ("x", "y", "r"))
        plots.circles(axes[0], x, y, r, size, _TAB10[number])
    return figure


def _rgb(hsv: Tensor) -> np.ndarray:
    from skimage import color

    rgb: np.ndarray = color.hsv2rgb(hsv.numpy())
    return rgb
