"""Detections of all frames to paths: a first guess, linking and learning in turn, and how probable each link is."""

from typing import NamedTuple

import numpy as np

from pyrodrop.inference.laplace import Laplace
from pyrodrop.workflows.tracking.paths.alternatives import LinkPosterior, link_posterior
from pyrodrop.workflows.tracking.paths.detections import Detections
from pyrodrop.workflows.tracking.paths.first_guess import first_guess
from pyrodrop.workflows.tracking.paths.jumps import jumps, without_jumps
from pyrodrop.workflows.tracking.paths.learning import counted_lives, learnt, with_drift
from pyrodrop.workflows.tracking.paths.linking import Links, link, pair_numbers
from pyrodrop.workflows.tracking.paths.mergers.merging import (
    Mergers,
    meetings,
    mergers,
    without_mergers,
)
from pyrodrop.workflows.tracking.paths.mergers.time_reversal import reversed_in_time
from pyrodrop.workflows.tracking.paths.process import Lives, PathProcess

# Times that all is linked and the process learnt from it; from the second on hardly a link changes.
_TURNS = 2


class Followed(NamedTuple):
    """Droplets followed through the frames.

    Attributes:
        detections: of all frames.
        process, lives: what was learnt of how droplets move, come and go.
        learnt: the posterior of the process; None where there were too few paths to learn from.
        links: the most probable links.
        posterior: how probable each link is.
        joined: droplets that became one.
        parted: droplets that became two: as mergers backwards in time, the "product" is the last detection of the one.
    """

    detections: Detections
    process: PathProcess
    lives: Lives
    learnt: Laplace | None
    links: Links
    posterior: LinkPosterior
    joined: Mergers
    parted: Mergers


def follow(detections: Detections, seed: int = 0, sweeps: int = 40) -> Followed:
    """Follow droplets through the frames; nothing is asked for but where they are.

    Args:
        detections: of all frames.
        seed: of the draws.
        sweeps: draws of all links; see ``link_posterior``.
    """
    process, lives = first_guess(detections), Lives()
    posterior_of_process = None
    for turn in range(_TURNS):
        links = link(detections, process, lives)
        process = with_drift(detections, links, process)
        # before the process is learnt: a radius that jumps in a merger is no growth
        links, lives, _ = _with_events(detections, process, lives, links)
        steady = without_jumps(links, jumps(detections, process, lives, links))
        process, posterior_of_process = learnt(detections, steady, process, seed, rounds=1 if turn < _TURNS - 1 else 4)
    links = link(detections, process, lives)
    posterior = link_posterior(detections, process, lives, links, sweeps, seed)
    links, lives, (joined, parted) = _with_events(detections, process, lives, most_probable(links, posterior))
    posterior = _less_probable(posterior, links, joined, parted)
    return Followed(detections, process, lives, posterior_of_process, links, posterior, joined, parted)


def _with_events(
    detections: Detections, process: PathProcess, lives: Lives, links: Links
) -> tuple[Links, Lives, tuple[Mergers, Mergers]]:
    """Links without those into the products of mergers and out of what was split, the rates of both, and they."""
    joined = mergers(detections, process, lives, links)
    apart = without_mergers(links, joined)
    turned, turned_process, turned_links = reversed_in_time(detections, process, apart)
    turned_lives = lives._replace(
        merging=lives.splitting, splitting=lives.merging, vanishing=lives.appearing, appearing=lives.vanishing
    )
    backwards = mergers(turned, turned_process, turned_lives, turned_links)
    n = len(detections.frame)
    first, second, product = (n - 1 - numbers for numbers in backwards[:3])
    parted = Mergers(first, second, product, backwards.probability)
    # what was split, back in its own time
    _, _, apart = reversed_in_time(turned, turned_process, without_mergers(turned_links, backwards))
    met = meetings(detections, process, lives, links)
    told = np.concatenate([*joined[:3], *parted[:3]])
    lives = counted_lives(detections, process, lives, apart, told)._replace(
        merging=_share(joined, met), splitting=_share(parted, met)
    )
    return apart, lives, (joined, parted)


def _share(events: Mergers, met: float) -> float:
    """Share of the meetings of two rims that were mergers, with Jeffreys' half a count."""
    return float(np.clip((events.probability.sum() + 0.5) / (met + 1), 1e-6, 1 - 1e-6))


def _less_probable(posterior: LinkPosterior, links: Links, joined: Mergers, parted: Mergers) -> LinkPosterior:
    """Probabilities of links where one into a product, or out of what was split, holds only if there was none."""
    n, heads, tails = len(links.before), posterior.heads, posterior.tails
    none_into, none_out = np.ones(n), np.ones(n)
    for into, out, found in ((none_into, none_out, joined), (none_out, none_into, parted)):
        into[found.product] *= 1 - found.probability
        out[found.first] *= 1 - found.probability
        out[found.second] *= 1 - found.probability
    probability = posterior.probability * none_into[tails] * none_out[heads]
    # what went on from one of the two, past the product, goes on from the product
    for found, on, forwards in (
        (joined, links.after[joined.product], True),
        (parted, links.before[parted.product], False),
    ):
        for one in (found.first, found.second):
            past, kept = (
                pair_numbers(heads, tails, *((each, on) if forwards else (on, each))) for each in (one, found.product)
            )
            both = (on >= 0) & (past >= 0) & (kept >= 0)
            np.add.at(probability, kept[both], (found.probability * posterior.probability[past])[both])
    return posterior._replace(probability=np.minimum(probability, 1.0))


def most_probable(links: Links, posterior: LinkPosterior) -> Links:
    """The links whose number of right ones is the greatest to be expected, the most probable ones first.

    A link is taken where it is more probable than that its earlier detection is the last of its path, and than that
    its later one is the first.
    """
    n = len(links.before)
    ends = 1 - np.bincount(posterior.heads, posterior.probability, n)
    begins = 1 - np.bincount(posterior.tails, posterior.probability, n)
    p = posterior.probability
    able = np.flatnonzero((p > ends[posterior.heads]) & (p > begins[posterior.tails]))
    before, after = np.full(n, -1, dtype=np.int64), np.full(n, -1, dtype=np.int64)
    for e in able[np.argsort(-p[able], kind="stable")]:
        i, j = posterior.heads[e], posterior.tails[e]
        if after[i] < 0 and before[j] < 0:
            after[i], before[j] = j, i
    return links._replace(before=before, after=after)
