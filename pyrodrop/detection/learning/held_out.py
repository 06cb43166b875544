"""A network's scores on simulated patches that it has not learnt from, and the calibration of what it says."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression, minimize
from scipy.special import expit, log_expit

from pyrodrop.detection.learning.patches import Block
from pyrodrop.detection.learning.scoring import Judged, Scores, calibration_error, judge, total
from pyrodrop.detection.learning.targets import COLUMN, detectability_weight
from pyrodrop.detection.network.architecture import CircleNetwork
from pyrodrop.detection.network.calibration import ByDoubt, Calibration, doubt_of_others, log_odds
from pyrodrop.detection.network.looking import look_at
from pyrodrop.detection.network.peaks import joined, peaks

MOST_GROUPS, LEAST_GROUP = 40, 40  # of proposals, for the calibration
LEAST_SCORED = 0.05  # proposals under this are not counted in the calibration error: nearly all would be right


class HeldOut(NamedTuple):
    """What the network says of a block, held against the truth."""

    judged: list[Judged]
    kinds: list[str]

    @property
    def presence(self) -> NDArray[np.float64]:
        """Of all proposals."""
        return np.concatenate([j.presence for j in self.judged])

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Which proposals are droplets."""
        return np.concatenate([j.correct for j in self.judged])

    def scores(self, kind: str | None = None) -> Scores:
        """Of the patches of a kind, or of all."""
        return total([j.scores for j, k in zip(self.judged, self.kinds, strict=True) if kind in (None, k)])

    def calibration_error(self) -> float:
        """Expected calibration error of proposals of presence 0.05 and more."""
        sure = self.presence >= LEAST_SCORED
        return calibration_error(self.presence[sure], self.correct[sure])

    def cross_entropy(self) -> float:
        """Mean cross-entropy of the presence of proposals of 0.05 and more."""
        sure = self.presence >= LEAST_SCORED
        p = self.presence[sure].clip(1e-4, 1 - 1e-4)
        return float(-np.mean(np.where(self.correct[sure], np.log(p), np.log1p(-p)))) if sure.any() else 0.0


def evaluate(network: CircleNetwork, block: Block, calibration: Calibration, device: torch.device) -> HeldOut:
    """Proposals of a folded network on patches as they are, looked at in all scales as every image is."""
    judged = []
    for image, table in zip(block.images, block.circles, strict=True):
        cells = look_at(image, network, device)
        found = peaks(joined(cells))
        circles = np.stack([found.x, found.y, np.exp(found.log_radius)], 1)
        inside = (np.abs(table[:, :2] + 0.5 - image.shape[-1] / 2) < image.shape[-1] / 2).all(1)
        weight = detectability_weight(torch.tensor(table[:, COLUMN.detectability])).numpy() * inside
        judged.append(judge(circles, calibration(found.presence), table[:, :3].astype(float), weight))
    return HeldOut(judged, block.kinds)


def learn_calibration(result: HeldOut) -> Calibration:
    """What makes presence right as often as it is said (``network.calibration``), from an uncalibrated result."""
    rising = rising_calibration(result.presence, result.correct)
    if rising == Calibration():
        return rising
    alone = [rising.alone(image.presence) for image in result.judged]
    return rising._replace(by_doubt=doubt_calibration(alone, [image.correct for image in result.judged]))


def rising_calibration(presence: NDArray[np.float64], correct: NDArray[np.bool_]) -> Calibration:
    """The share of proposals that are right as a rising function of their presence.

    Proposals in order of presence are cut into groups of equal size, at least `LEAST_GROUP` and at most `MOST_GROUPS`
    many; isotonic regression of the shares (with half a right and half a wrong proposal more in each group) gives the
    points of the function.
    """
    order = np.argsort(presence, kind="stable")
    order = order[presence[order] > LEAST_SCORED / 5]
    n_groups = min(MOST_GROUPS, len(order) // LEAST_GROUP)
    if n_groups < 2:
        return Calibration()
    groups = np.array_split(order, n_groups)
    summed = np.array([presence[g].mean() for g in groups])
    share = np.array([(correct[g].sum() + 0.5) / (len(g) + 1) for g in groups])
    said = isotonic_regression(share).x
    rising = np.concatenate([[True], np.diff(summed) > 1e-9])
    summed, said = summed[rising], said[rising]
    # Beyond the last group's mean its share holds, at 0 there is nothing.
    return Calibration((0.0, *summed.tolist(), 1.0 + 1e-9), (0.0, *said.tolist(), float(said[-1])))


def doubt_calibration(presence: list[NDArray[np.float64]], correct: list[NDArray[np.bool_]]) -> ByDoubt:
    """How the doubt about an image's other proposals tells on each, by logistic regression over images.

    n proposals of an image, which share most of their doubt, count as the root of n.

    Args:
        presence: of the proposals of each image, rightly calibrated one by one, (n,).
        correct: which of them are droplets, (n,).
    """
    all_presence = np.concatenate(presence)
    usual = float((all_presence * (1 - all_presence)).sum() / max(all_presence.sum(), 1e-9))
    doubt = np.concatenate([doubt_of_others(one, usual) for one in presence])
    counted = np.concatenate([np.full(len(one), max(len(one), 1) ** -0.5) for one in presence])
    odds, right = log_odds(all_presence), np.concatenate(correct)
    signs = np.stack([np.ones_like(odds), doubt, odds, doubt * odds], 1)
    without = np.array(ByDoubt()[:4])

    def loss(numbers: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        said = signs @ numbers
        value = -(counted * log_expit(np.where(right, said, -said))).sum() + np.square(numbers - without).sum() / 2
        return float(value), signs.T @ (counted * (expit(said) - right)) + numbers - without

    return ByDoubt(*[*minimize(loss, without, jac=True, method="L-BFGS-B").x.tolist(), usual])
