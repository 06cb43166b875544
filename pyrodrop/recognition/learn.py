"""Learn from simulations how far network and joint fit are to be believed: ``python -m pyrodrop.recognition.learn``.

Patches of ``detection.simulation``, which are as broad as can be, and images that are as the joint fit's model says are
recognised, and each candidate is held against the truth. A logistic regression on the signs of ``presence`` gives their
weights; those of ``agreement`` maximise the likelihood of the joint fit's errors, and how much doubt the droplets of an
image share that of all its candidates together. Droplets that lie under the noise
were not asked for, and candidates that are such droplets count neither for nor against. Half of the patches are kept
for telling how well it went.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_expit, logsumexp
from tqdm import tqdm

from pyrodrop.detection.learning.model_images import as_the_model_says
from pyrodrop.detection.learning.scoring import calibration_error
from pyrodrop.detection.simulation.patches import simulate_patches
from pyrodrop.recognition.agreement import WEIGHTS, Views, fit_errors, log_densities, log_prior_odds
from pyrodrop.recognition.learning.lessons import Lesson, joined, worth
from pyrodrop.recognition.learnt import FILE
from pyrodrop.recognition.presence import SIGNS_OF_PROPOSALS, SIGNS_OF_RESIDUALS
from pyrodrop.recognition.shared_errors import intraclass_correlation
from pyrodrop.results.statistics.counts import count_distribution
from pyrodrop.results.statistics.shared_doubt import central_log_odds, shared_values
from pyrodrop.results.statistics.unfitted import Unfitted

Array = NDArray[np.float64]
# The weights are a priori normal around 0 with this standard deviation.
_PRIOR_SD = 1.0
# Log of the least and the largest standard deviation of what is shared, and values of it to average over.
_BOUNDS_OF_SHARED, _SHARED_VALUES = (-4.0, 1.5), 60
# The same of the doubt that circles share which were not fitted, and the least probability of a count: there may be
# more droplets than anything was proposed for.
_BOUNDS_OF_UNFITTED, _LEAST_OF_COUNT = (0.0, 2.0), 1e-6
# An image as the joint fit's model says to so many that are as broad as can be: images that people take are seldom so,
# and with as many of either the fit is believed where it is wrong.
_AS_THE_MODEL_SAYS = 5

# Shares of the fit's errors of centre and radius that an image's droplets share, to begin with, and how often they are
# learnt anew with the weights.
_SHARES_TO_BEGIN, _ROUNDS_OF_SHARES = (0.5, 0.5), 2


def weights_of_presence(
    signs_of: Array, correct: NDArray[np.bool_], offset: Array | float = 0.0, counted: Array | float = 1.0
) -> Array:
    """Weights (K,) of signs (N, K): the mode of a logistic regression, with log odds offset (N,) that are given, each
    candidate counted as so many, (N,).
    """

    def loss(weights: Array) -> tuple[float, Array]:
        odds = signs_of @ weights + offset
        value = (counted * np.logaddexp(0, np.where(correct, -odds, odds))).sum()
        slope = signs_of.T @ (counted * (expit(odds) - correct)) + weights / _PRIOR_SD**2
        return float(value + np.square(weights / _PRIOR_SD).sum() / 2), slope

    return np.asarray(minimize(loss, np.zeros(signs_of.shape[1]), jac=True, method="L-BFGS-B").x)


def weights_of_agreement(views: Views, error: Array, counted: Array | float = 1.0) -> Array:
    """The ``agreement.WEIGHTS``: where the joint fit's errors (n, 3) are likeliest, each counted as so many, (n,)."""

    def loss(weights: Array) -> float:
        right, wrong = log_densities(error, fit_errors(views, weights), views.far)
        prior = log_prior_odds(views, weights)
        value = (counted * np.logaddexp(log_expit(prior) + right, log_expit(-prior) + wrong)).sum()
        return float(np.square(weights / _PRIOR_SD).sum() / 2 - value)

    starts = [np.array([0.0, 0.0, log, log, *np.zeros(len(WEIGHTS) - 4)]) for log in (-1.0, -2.0, -3.0)]
    found = [minimize(loss, start, method="L-BFGS-B") for start in starts]
    return np.asarray(min(found, key=lambda one: one.fun).x)


def agreement_of(lessons: Sequence[Lesson]) -> tuple[Array, Array]:
    """The weights of agreement, and the shares of the fit's errors that an image's droplets share (``shared_errors``).

    n droplets that share the part q of their errors tell as much as n / (1 + (n - 1) q) that share none (``worth``).
    """
    every, shares = joined(list(lessons)), np.array(_SHARES_TO_BEGIN)
    number = [len(one.error) for one in lessons]
    for _ in range(_ROUNDS_OF_SHARES):
        weights = weights_of_agreement(every.views, every.error, worth(number, float(shares[1])))
        shares = shares_of_errors(lessons, weights)
    return weights, shares


def shared_doubt(log_odds: Sequence[Array], correct: Sequence[NDArray[np.bool_]]) -> float:
    """The standard deviation of what the log odds of an image's candidates share, by its greatest likelihood.

    Args:
        log_odds: of the candidates of each image, (n,).
        correct: which of them are droplets, (n,).
    """
    u, weight, _ = shared_values(_SHARED_VALUES)

    def loss(log_sd: float) -> float:
        sd, total = float(np.exp(log_sd)), 0.0
        for odds, right in zip(log_odds, correct, strict=True):
            given = central_log_odds(expit(odds), sd)[:, None] + sd * u
            total -= float(logsumexp(log_expit(np.where(right[:, None], given, -given)).sum(0), b=weight))
        return total

    return float(np.exp(minimize_scalar(loss, bounds=_BOUNDS_OF_SHARED, method="bounded").x))


def weights_of_unfitted(lessons: Sequence[Lesson]) -> Array:
    """The weights of ``candidates.signs_of_unfitted``, (1,): each circle counts as one, for it is their sum that is
    asked for.
    """
    beside = joined(list(lessons)).beside
    return weights_of_presence(beside.signs, beside.correct, beside.network)


def unfitted_doubt(lessons: Sequence[Lesson], weights: Array, log_odds: Sequence[Array], shared: float) -> float:
    """The standard deviation of what the log odds of an image's unfitted circles share, by its greatest likelihood.

    It is that of the numbers of droplets, which is what they are there for.

    Args:
        lessons: of the images.
        weights: those of ``weights_of_unfitted``.
        log_odds: of the candidates of each, (n,).
        shared: standard deviation of what these share.
    """

    def loss(log_sd: float) -> float:
        total = 0.0
        for lesson, odds in zip(lessons, log_odds, strict=True):
            beside = lesson.beside
            expected = float(expit(beside.network + beside.signs @ weights).sum())
            unfitted = Unfitted(len(beside.network), expected, float(np.exp(log_sd)))
            chances = count_distribution(expit(odds), shared, unfitted).probability
            chance = chances[beside.asked] if beside.asked < len(chances) else 0.0
            total -= float(np.log(max(chance, _LEAST_OF_COUNT)))
        return total

    return float(np.exp(minimize_scalar(loss, bounds=_BOUNDS_OF_UNFITTED, method="bounded", options={"xatol": 0.05}).x))


def shares_of_errors(lessons: Sequence[Lesson], weights: Array) -> Array:
    """Of the variance of the fit's errors the shares that an image's droplets share, of centre and radius, (2,).

    weights: those of ``agreement``. Only fits whose own posterior is the lesser part of their errors tell of the rest.
    """
    shared: tuple[list[Array], list[Array]] = ([], [])
    for lesson in lessons:
        sd = fit_errors(lesson.views, weights)
        for k, of in ((0, 0), (1, 0), (2, 1)):
            beyond = lesson.views.fit_sd[:, k] < sd[:, k] / 2
            shared[of].append((lesson.error[:, k] / sd[:, k])[beyond])
    return np.array([intraclass_correlation(errors) for errors in shared])


def main(arguments: list[str] | None = None) -> int:
    """Simulate, recognise, learn, write."""
    parser = argparse.ArgumentParser(prog="python -m pyrodrop.recognition.learn", description=__doc__.split("\n")[0])
    parser.add_argument("--patches", type=int, default=600, help="how many broad patches (default 600)")
    parser.add_argument("--size", type=int, default=128, help="side of a patch in px (default 128)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=FILE)
    asked = parser.parse_args(arguments)
    seed = np.random.SeedSequence([asked.seed, 15])
    patches = simulate_patches(asked.patches, asked.size, seed)
    pairs = list(zip(patches.images, patches.circles, strict=True))
    # Droplets stand out of a residual only where the model explains the image.
    children = seed.spawn(2 * asked.patches)[asked.patches :]
    own = [as_the_model_says(asked.size, child) for child in children[: asked.patches // _AS_THE_MODEL_SAYS]]
    lessons = [Lesson.of_patch(*pair) for pair in tqdm(pairs + own, "recognise", unit="patch")]
    # Of either kind every other one is kept, to see how well it went.
    taught, kept = joined(lessons[::2]), joined(lessons[1::2])
    record: dict[str, object] = {"patches": asked.patches, "size": asked.size, "seed": asked.seed}
    whichever: tuple[tuple[str, Callable[[Lesson], NDArray[np.bool_]], tuple[str, ...]], ...] = (
        ("proposals", lambda lesson: lesson.proposed, SIGNS_OF_PROPOSALS),
        ("residuals", lambda lesson: ~lesson.proposed, SIGNS_OF_RESIDUALS),
    )
    asked_first = [lesson for lesson in lessons[::2] if lesson.proposed.any()]
    doubt = shared_doubt(
        [lesson.network[lesson.proposed] for lesson in asked_first],
        [lesson.correct[lesson.proposed] for lesson in asked_first],
    )
    for name, which, labels in whichever:
        columns = "of_" + name
        chosen, other = which(taught), which(kept)
        # A logistic variable has variance pi^2 / 3. How often the peaks of a residual are droplets has no word of the
        # network to begin with, and is asked of all of them: few images have most.
        share = doubt**2 / (doubt**2 + np.pi**2 / 3) if name == "proposals" else 0.0
        counted = worth([int(which(lesson).sum()) for lesson in lessons[::2]], share)
        weights = weights_of_presence(
            getattr(taught, columns)[chosen], taught.correct[chosen], taught.network[chosen], counted
        )
        correct, network = kept.correct[other], kept.network[other]
        odds = network + getattr(kept, columns)[other] @ weights
        error = calibration_error(expit(odds), correct)
        _tell(f"{name}: {len(correct)} kept, {int(correct.sum())} droplets")
        _tell("  weights " + ", ".join(map("{} {:.3f}".format, labels, weights)))
        _tell(f"  calibration error {error:.3f}, log loss {log_loss(odds, correct):.4f}")
        _tell(f"  without: {calibration_error(expit(network), correct):.3f}, {log_loss(network, correct):.4f}")
        record[name] = _rounded(weights)
        record[f"calibration error of {name}"] = round(error, 4)
    says = [says_of(lesson, record) for lesson in lessons]
    shared = shared_doubt(says, [lesson.correct for lesson in lessons])
    record["shared doubt"] = _rounded(np.array([shared]))
    of_unfitted = weights_of_unfitted(lessons)
    unfitted = unfitted_doubt(lessons, of_unfitted, says, shared)
    record["unfitted"] = _rounded(of_unfitted)
    record["unfitted doubt"] = _rounded(np.array([unfitted]))
    _tell(f"of what was not fitted: doubt of the others {of_unfitted[0]:.3f}")
    _tell(f"shared doubt: {shared:.3f}, of what was not fitted: {unfitted:.3f}")
    weights, shares = agreement_of(lessons)
    record["agreement"] = _rounded(weights)
    _tell("agreement: " + ", ".join(map("{} {:.3f}".format, WEIGHTS, weights)))
    record["shared errors"] = _rounded(shares)
    _tell(f"shared errors of the fit, of centre and radius: {record['shared errors']}")
    beside = asked.out.with_suffix(".writing")
    beside.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    os.replace(beside, asked.out)
    return 0


def says_of(lesson: Lesson, weights: Mapping[str, Any]) -> Array:
    """Log odds of a lesson's candidates, (N,), with these weights."""
    by_name = {name: np.array(weights[name]) for name in ("proposals", "residuals")}
    from_network = lesson.network + lesson.of_proposals @ by_name["proposals"]
    return np.asarray(np.where(lesson.proposed, from_network, lesson.of_residuals @ by_name["residuals"]))


def log_loss(log_odds: Array, correct: NDArray[np.bool_]) -> float:
    """Mean of minus the log probability of what is the case."""
    return float(-np.mean(log_expit(np.where(correct, log_odds, -log_odds)))) if len(correct) else 0.0


def _rounded(weights: Array) -> list[float]:
    return [round(float(value), 4) for value in weights]


def _tell(line: str) -> None:
    print(line, file=sys.stderr)


if __name__ == "__main__":
    raise SystemExit(main())
