"""What one simulated image of known truth teaches about network and joint fit."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pyrodrop.detection.learning.scoring import match
from pyrodrop.detection.learning.targets import COLUMN, detectability_weight
from pyrodrop.recognition.agreement import Views, outline_of, views_of
from pyrodrop.recognition.candidates import signs_of_unfitted
from pyrodrop.recognition.completion import LEAST
from pyrodrop.recognition.learnt import learnt
from pyrodrop.recognition.presence import network_log_odds, signs
from pyrodrop.recognition.recognise import Recognised, recognise
from pyrodrop.rendering.pixel_noise import pixel_noise
from pyrodrop.rendering.profiles import automatic_profiles

Array = NDArray[np.float64]


class Beside(NamedTuple):
    """What the candidates do not say: circles that were not fitted, M of them without those that are droplets under the
    noise.

    network: the network's log odds, (M,). signs: what speaks for each, (M, 1). correct: which are droplets, (M,).
    asked: how many droplets there are in all.
    """

    network: Array
    signs: Array
    correct: NDArray[np.bool_]
    asked: int


class Lesson(NamedTuple):
    """Candidates of known truth: the network's log odds, (N,), signs if proposed, (N, 4), if from a residual, (N, 3).

    proposed, correct: which were proposed, and which are droplets. views: what fit and network say of the proposed that
    are droplets, n of them. error: the joint fit's x, y and log radius less the truth, in units as those of views,
    (n, 3). beside: what they do not say of the image.
    """

    network: Array
    of_proposals: Array
    of_residuals: Array
    proposed: NDArray[np.bool_]
    correct: NDArray[np.bool_]
    views: Views
    error: Array
    beside: Beside

    @classmethod
    def of_patch(cls, image: NDArray[np.float32], circles: NDArray[np.float32]) -> "Lesson":
        """What one simulated patch (H, W) with circles (m, 8) teaches."""
        low, high = np.quantile(image, [0.001, 0.999])
        channels = ((image - low) / max(float(high - low), 1e-12)).astype(np.float64)[None]
        # Those that would be left out are to be learnt from, too: what was chosen by the last weights would teach that
        # all candidates are droplets.
        seen = recognise(channels, channels[0], automatic_profiles(), least_of_residual=LEAST)
        white = pixel_noise(channels)
        fit, candidates, places = seen.fit, seen.candidates, seen.places
        truth = circles[:, [COLUMN.x, COLUMN.y, COLUMN.radius]].astype(np.float64)
        number, true = match(np.stack([places.x, places.y], 1), truth, seen.presence)
        weight = detectability_weight(torch.from_numpy(circles[:, COLUMN.detectability])).numpy()
        correct, counts = np.zeros(len(places.x), bool), np.ones(len(places.x), bool)
        correct[number] = True
        counts[number] = weight[true] >= 0.5
        first, second = signs(fit, candidates, white)
        proposed = candidates.proposed > 0
        network = np.where(proposed, network_log_odds(candidates), 0.0)
        # Which droplet a proposal is, its own circle says: where the fit went is what is to be learnt.
        own = np.flatnonzero(proposed)
        i, j = match(np.stack(candidates[:2], 1)[own], truth, candidates.proposed[own])
        wanted = weight[j] >= 0.5
        own, truth_of_all, truth = own[i[wanted]], truth, truth[j[wanted]]
        fit = seen.own
        outline = fit.outlines[0][outline_of(fit, candidates, white, learnt("agreement"))]
        views = Views(*(values[own] for values in views_of(fit, candidates, white, outline)))
        r = candidates.radius[own]
        error = np.stack(
            [
                (fit.x[own] - truth[:, 0]) / r,
                (fit.y[own] - truth[:, 1]) / r,
                np.log(outline[own] / truth[:, 2]),
            ],
            1,
        )
        beside = _beside(seen, truth_of_all, weight)
        known = (network[counts], first[counts], second[counts], proposed[counts], correct[counts])
        return cls(*known, views, error, beside)


def joined(lessons: list[Lesson]) -> Lesson:
    """Lessons one after the other."""

    def all_of(part: Callable[[Lesson], NDArray[Any]]) -> NDArray[Any]:
        return np.concatenate([part(lesson) for lesson in lessons])

    return Lesson(
        all_of(lambda lesson: lesson.network),
        all_of(lambda lesson: lesson.of_proposals),
        all_of(lambda lesson: lesson.of_residuals),
        all_of(lambda lesson: lesson.proposed),
        all_of(lambda lesson: lesson.correct),
        Views(*(np.concatenate(values) for values in zip(*(lesson.views for lesson in lessons), strict=True))),
        all_of(lambda lesson: lesson.error),
        Beside(
            all_of(lambda lesson: lesson.beside.network),
            all_of(lambda lesson: lesson.beside.signs),
            all_of(lambda lesson: lesson.beside.correct),
            sum(lesson.beside.asked for lesson in lessons),
        ),
    )


def _beside(seen: Recognised, truth: Array, weight: Array) -> Beside:
    """Of what was recognised, and of the true circles, (m, 3), which count if their weight does."""
    unfitted = seen.unfitted
    i, j = match(np.stack([unfitted.x, unfitted.y], 1), truth, unfitted.proposed)
    correct, counts = np.zeros(len(unfitted.x), bool), np.ones(len(unfitted.x), bool)
    correct[i], counts[i] = True, weight[j] >= 0.5
    of_all = signs_of_unfitted(len(unfitted.x), seen.candidates.proposed)
    return Beside(network_log_odds(unfitted)[counts], of_all[counts], correct[counts], int((weight >= 0.5).sum()))


def worth(number: Sequence[int], share: float) -> Array:
    """As how many each of an image's ``number`` of values counts, all images after each other.

    Values that share this part of their variance tell less: n of them as much as n / (1 + (n - 1) share) that share
    none. One image of hundreds would else outweigh all others.
    """
    return np.concatenate([np.full(n, 1 / (1 + max(n - 1, 0) * share)) for n in number])
