"""How many droplets: as many as earn their keep under the model's evidence."""

import copy
import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pyrodrop.models.priors import LEVELS, LOG_RADIUS
from pyrodrop.pursuit.arrangement import Arrangement, Bounds, Doubles, LogPrior, meeting
from pyrodrop.pursuit.evidence import log_volumes
from pyrodrop.pursuit.search import Search, mode
from pyrodrop.pursuit.start import Start

# Rounds of births and deaths that may pass without a better evidence.
_PATIENCE = 3
_FIRST = 32


def counted_peaks(
    channel: Tensor,
    error_scale: float,
    most: int = 20_000,
    *,
    amplitude_range: tuple[float, float] = LEVELS,
    background_range: tuple[float, float] = LEVELS,
    log_radius: tuple[float, float] = LOG_RADIUS,
    radius_range: tuple[float, float] | None = None,
    log_prior: LogPrior | None = None,
    noise: npt.NDArray[np.float64] | None = None,
) -> Start:
    """Droplets at the peaks of an image, as many as earn their keep.

    Rounds of births, a fifth of those that are there or as many as were born last time if most of them stayed, each
    followed by deaths of all droplets whose evidence is against them, weakest first and never two neighbours at
    once. After births and after deaths all droplets and the background settle together: as long as they have not,
    what is left of the image holds more than noise, and droplets that stand for it seem to earn their keep. The
    arrangement of the highest evidence is returned, see ``together.log_evidence``.

    A droplet is judged by its odds: how much the log likelihood falls without it, once its neighbours have settled, or
    once all that overlap it and the background have to first order, whichever is less; and the log of its prior
    density times the volume of its posterior (``log_volumes``), times n for the exchange of labels. That product is
    at most one: a droplet that explains nothing has no odds in its favour.

    Args:
        channel: (H, W) image.
        error_scale: standard deviation of the noise.
        most: no more droplets than this are looked for.
        amplitude_range, background_range, log_radius, radius_range: as for ``start.peaks``.
        log_prior: log density a priori of radii and amplitudes; None for that of ``channel_fit``.
        noise: standard deviation of the noise in each pixel, (H, W), where it is not the same in all: a droplet is
            judged by that at its centre.

    Returns:
        The background and droplets; the gain is by how much the half sum of squares rises without each.
    """
    image = channel.detach().cpu().float().numpy().copy(order="C")
    size = (image.shape[0], image.shape[1])
    mean, sd = log_radius
    # A droplet broader than three standard deviations of the prior is a piece of background.
    radii = (math.exp(mean - 3 * sd), math.exp(mean + 3 * sd)) if radius_range is None else radius_range
    search = Search(size, Bounds(amplitude_range, background_range, radii, log_radius, error_scale, log_prior))
    found = search.begin(image, mode(image), 0)
    best, highest, fruitless, births = copy.deepcopy(found), -math.inf, 0, _FIRST
    while fruitless < _PATIENCE and len(found.droplets) < most:
        before = len(found.droplets)
        births = min(births, most - before)
        search.add_peaks(found, births)
        search.settle(found, 3)
        search.settle_together(found, 8)
        _let_die(search, found, noise)
        search.settle_together(found, 8)
        stayed = len(found.droplets) - before
        births = 2 * births if stayed > 0.8 * births else max(_FIRST // 4, len(found.droplets) // 5)
        evidence = search.log_evidence(found)
        if evidence > highest + 1.0:
            best, highest, fruitless = copy.deepcopy(found), evidence, 0
        else:
            fruitless += 1
    # Where nobody has died near by, droplets were last judged when they had just been born.
    judged = copy.deepcopy(best)
    _let_die(search, judged, noise)
    search.settle_together(judged, 8)
    best = judged if search.log_evidence(judged) >= highest else best
    order = np.argsort(-search.gains(best), kind="stable")
    columns = torch.from_numpy(np.column_stack([best.droplets, search.gains(best)])[order]).to(channel)
    x, y, r, amplitude, gain = columns.unbind(-1)
    return Start(best.background, x, y, r, amplitude, gain)


def _let_die(search: Search, found: Arrangement, noise: Doubles | None) -> None:
    """Take out droplets whose evidence is against them until none is left.

    A death is felt by those that share pixels with it: they settle, and they and their neighbours are judged anew.
    """
    worths, nearest = search.least_worths(found)
    while len(found.droplets):
        error_scale = search.bounds.error_scale if noise is None else _at_centres(noise, found)
        cost = _volumes(found, search.bounds, error_scale) + math.log(len(found.droplets))
        odds = worths / error_scale**2 + np.minimum(cost, 0.0)
        dying, held = [], np.zeros(len(odds), bool)
        for k in np.argsort(odds, kind="stable"):
            if odds[k] > 0:
                break
            if not held[k]:
                dying.append(k)
                # Those that would move into its place, and those into whose place it would: of a large droplet and a
                # small one that both look needless, only one is.
                held[nearest[k][nearest[k] >= 0]] = True
                held |= (nearest == k).any(1)
        if not dying:
            return
        gone = np.array(dying, np.int64)
        stay = np.delete(np.arange(len(odds)), gone)
        felt = meeting(found.droplets[gone], found.droplets[stay])
        search.take_out(found, gone)
        search.settle_some(found, felt, 4)
        asked = meeting(found.droplets[felt], found.droplets)
        # Numbers of neighbours as they are now; those that died are nobody's neighbours any more.
        number = np.full(len(odds) + 1, -1)
        number[stay] = np.arange(len(stay))
        worths, nearest = worths[stay], number[nearest[stay]]
        worths[asked], nearest[asked] = search.least_worths(found, asked)


def _at_centres(noise: Doubles, found: Arrangement) -> Doubles:
    """The noise (H, W) at the centre of each droplet, (n,)."""
    column, row = (
        np.clip(np.rint(place).astype(int), 0, side - 1)
        for place, side in zip(found.droplets[:, :2].T, noise.shape[::-1], strict=True)
    )
    return np.asarray(noise[row, column])


def _volumes(found: Arrangement, bounds: Bounds, error_scale: float | Doubles) -> Doubles:
    x, y, r, amplitude = torch.from_numpy(found.droplets).unbind(-1)
    scale = error_scale if isinstance(error_scale, float) else torch.from_numpy(error_scale)
    height, width = found.residual.shape
    return log_volumes(Start(0.0, x, y, r, amplitude, r), (height, width), scale, bounds.log_prior).numpy()
