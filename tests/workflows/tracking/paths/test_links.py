"""Links: the right ones are found without a radius of search, and their probabilities are those of all assignments."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from workflows.tracking.walks import Walks, same_before, walks

from pyrodrop.workflows.tracking.paths.alternatives import link_posterior
from pyrodrop.workflows.tracking.paths.detections import Detections, detections_of
from pyrodrop.workflows.tracking.paths.first_guess import first_guess
from pyrodrop.workflows.tracking.paths.following import follow
from pyrodrop.workflows.tracking.paths.link_weights import (
    chances,
    doubts,
    first_states,
    log_population,
    pair_weights,
    seen_of,
)
from pyrodrop.workflows.tracking.paths.linking import Links, link
from pyrodrop.workflows.tracking.paths.mergers.time_reversal import reversed_in_time
from pyrodrop.workflows.tracking.paths.path_filter import STATE
from pyrodrop.workflows.tracking.paths.process import Lives, PathProcess
from pyrodrop.workflows.tracking.paths.unseen import ends_and_begins, unseen_between, unseen_tables


def process_of(frames: int, diffusion: float = 0.5) -> PathProcess:
    return PathProcess(diffusion, 0.0, 5.0, 0.02, 50.0, 1e-5, 1.0, 1.0, 1.0, np.zeros((frames, 2)))


def seen(how: Walks) -> tuple[Detections, np.ndarray]:
    table, droplet = walks(how)
    detections = detections_of(table, (int(how.side), int(how.side)), how.frames)
    return detections, same_before(detections.frame, droplet[detections.rows])


@pytest.mark.parametrize(
    "how",
    [
        Walks(misses=0.05),
        pytest.param(Walks(diffusion=0.01), marks=pytest.mark.slow),
        pytest.param(Walks(drift=(4.0, 1.0), side=200.0, frames=12, seed=2), marks=pytest.mark.slow),
    ],
)
def test_droplets_are_followed_whatever_their_motion(how: Walks) -> None:
    detections, before = seen(how)
    found = follow(detections, sweeps=10).links.before
    assert (found == before).mean() > 0.97
    assert ((found >= 0) & (found != before)).mean() < 0.005


@pytest.mark.parametrize(("diffusion", "drift"), [(0.05, (0.0, 0.0)), (1.0, (0.0, 0.0)), (0.3, (6.0, 2.0))])
def test_the_first_guess_is_near_the_truth_from_positions_alone(diffusion: float, drift: tuple[float, float]) -> None:
    how = Walks(droplets=60, frames=8, side=300.0, diffusion=diffusion, drift=drift, seed=4)
    guess = first_guess(seen(how)[0])
    assert guess.diffusion == pytest.approx(diffusion, rel=0.4)
    np.testing.assert_allclose(guess.drift[0], drift, atol=0.3)


def test_tables_in_another_order_have_the_same_links() -> None:
    table, _ = walks(Walks(misses=0.05))
    mixed = table.sample(frac=1.0, random_state=1)
    one, other = (link(detections_of(each, (120, 120), 20), process_of(20), Lives()) for each in (table, mixed))
    np.testing.assert_array_equal(one.before, other.before)


def test_a_droplet_whose_neighbours_detection_was_taken_may_have_been_missed_there() -> None:
    """One of two is missed in the second frame, and the other's detection lies nearer to the one that was missed."""
    rows = [(0, 20.0), (0, 24.0), (1, 21.8), (2, 20.1), (2, 23.9)]
    table = pd.DataFrame(rows, columns=["frame", "x_px"]).assign(y_px=50.0, radius_px=5.0)
    table = table.assign(x_px_sd=0.1, y_px_sd=0.1, radius_px_sd=0.1)
    links = link(detections_of(table, (100, 100), 3), process_of(3, 1.0), Lives(detected=0.8))
    assert links.after[0] == 2
    assert (0, 3) in set(zip(links.heads.tolist(), links.tails.tolist(), strict=True))


def test_a_turned_stack_has_the_same_links() -> None:
    table, _ = walks(Walks(misses=0.05, diffusion=2.0))
    turned = table.assign(x_px=table["y_px"], y_px=119 - table["x_px"])
    found = []
    for each in (table, turned):
        detections = detections_of(each, (120, 120), 20)
        links = link(detections, process_of(20, 2.0), Lives())
        rows = detections.rows
        found.append({(int(rows[i]), int(rows[j])) for j, i in enumerate(links.before) if i >= 0})
    assert found[0] == found[1]


def test_frames_that_are_missing_end_no_track() -> None:
    table, droplet = walks(Walks(seed=5))
    gone = table["frame"].isin([6, 7, 13])
    detections = detections_of(table[~gone], (120, 120), 20, missing=[6, 7, 13])
    before = same_before(detections.frame, droplet[(~gone).to_numpy()][detections.rows])
    found = follow(detections, sweeps=5)
    assert (found.links.before == before).mean() > 0.98
    assert found.lives.detected > 0.98  # nobody missed them


def test_backwards_twice_is_as_before() -> None:
    detections, _ = seen(Walks(misses=0.1))
    process = process_of(20)._replace(drift=np.linspace(0, 1, 40).reshape(20, 2) * np.append(np.ones(19), 0)[:, None])
    links = link(detections, process, Lives())
    again = reversed_in_time(*reversed_in_time(detections, process, links))
    np.testing.assert_allclose(again[0].x, detections.x)
    np.testing.assert_allclose(again[1].drift, process.drift)
    np.testing.assert_array_equal(again[2].before, links.before)
    np.testing.assert_array_equal(again[2].tails, links.tails)


def test_probabilities_are_those_of_all_assignments_of_two_frames() -> None:
    """Three droplets, three detections after them: every matching is weighed, and the draws agree."""
    table, _ = walks(Walks(droplets=3, frames=2, side=60.0, diffusion=4.0, seed=8))
    table["x_px"] = 25 + 0.12 * (table["x_px"] - 25)  # near each other
    table["y_px"] = 25 + 0.12 * (table["y_px"] - 25)
    table["radius_px"], table["amplitude"] = 5.0 + 0.01 * table["radius_px"], 0.5
    detections = detections_of(table, (60, 60), 2)
    process, lives = process_of(2, 4.0), Lives(0.8, 0.05, 0.05)
    heads, tails = (np.array(each) for each in zip(*itertools.product(range(3), range(3, 6)), strict=True))
    links = Links(np.full(6, -1), np.full(6, -1), heads, tails)
    exact = matched(detections, process, lives, heads, tails)
    drawn = link_posterior(detections, process, lives, links, sweeps=4000, seed=1).probability
    np.testing.assert_allclose(drawn, exact, atol=0.02)
    assert 0.1 < exact.max() < 0.95  # there is something to tell


def matched(
    detections: Detections, process: PathProcess, lives: Lives, heads: np.ndarray, tails: np.ndarray
) -> np.ndarray:
    """Probability of each pair, summed over all matchings of the three heads to the three tails."""
    numbers, states = process.numbers(), np.empty((6, STATE))
    first_states(seen_of(detections, process), numbers, states)
    weight = np.empty(9)
    unseen = unseen_tables(detections, process, lives)
    pairs = (heads, tails, np.ones(9), unseen_between(detections, process, unseen, heads, tails))
    pair_weights(pairs, states, states, log_population(detections), numbers, chances(lives), True, weight)
    end, begin = ends_and_begins(detections, process, unseen)
    noise, alike = doubts(detections, lives)
    alone = np.exp(begin + end) * (1 + np.exp(alike)) + np.exp(noise)
    # what two have in common as doubt counts once
    weight += np.log1p(np.exp((alike[heads] + alike[tails]) / 2))
    total, sums = 0.0, np.zeros(9)
    for chosen in itertools.product((False, True), repeat=9):
        pairs = np.flatnonzero(chosen)
        if len({*heads[pairs]}) < len(pairs) or len({*tails[pairs]}) < len(pairs):
            continue
        linked = {*heads[pairs], *tails[pairs]}
        product = math.prod(alone[n] for n in range(6) if n not in linked)
        product *= math.prod(math.exp(weight[e] + begin[heads[e]] + end[tails[e]]) for e in pairs)
        total += product
        sums[pairs] += product
    return sums / total


def test_what_looks_like_a_droplet_in_all_frames_is_linked_and_its_doubt_is_not_multiplied() -> None:
    table, droplet = walks(Walks(droplets=12, frames=10, seed=4))
    presence = np.where(droplet == 3, 0.3, 0.99)
    found = follow(detections_of(table.assign(presence=presence), (120, 120), 10), sweeps=10)
    of_it = droplet[found.detections.rows] == 3
    assert len({*found.links.path[of_it]}) == 1
    np.testing.assert_allclose(found.posterior.spurious[of_it], 0.7, atol=0.25)  # not 1 - 0.3^10, nor 0
    assert found.posterior.spurious[~of_it].max() < 0.05


def test_being_seen_no_more_is_as_often_as_a_walk_by_the_edge_says() -> None:
    """Against walks that are drawn: one that leaves may come back, and one within may be missed."""
    size, frames, lives = (400, 400), 9, Lives(0.9, 0.01, 0.01)
    drift = np.zeros((frames, 2))
    drift[:-1] = [-0.6, 0.0]
    process = process_of(frames, 2.0)._replace(drift=drift)
    places = np.array([1.0, 3.0, 8.0, 200.0])
    table = pd.DataFrame({"frame": 2, "x_px": places, "y_px": 200.0, "radius_px": 5.0})
    detections = detections_of(table, size, frames, missing=[4])
    after, before = ends_and_begins(detections, process, unseen_tables(detections, process, lives))
    for log_never, times, sign in ((after, range(3, 9), 1), (before, range(1, -1, -1), -1)):
        rng = np.random.default_rng(0)
        x, never, there = np.tile(places, (40_000, 1)), np.ones((40_000, 4), bool), np.ones((40_000, 4), bool)
        for t in times:
            x = x + sign * -0.6 + 2.0 * rng.standard_normal(x.shape)
            if t != 4:
                there &= rng.random(x.shape) > 0.01
                never &= ~(there & (x > -0.5) & (rng.random(x.shape) < 0.9))
        drawn = never.mean(0)[np.argsort(np.argsort(places))]
        np.testing.assert_allclose(np.exp(log_never), drawn, rtol=0.06, atol=0.003)


def test_being_unseen_between_two_frames_is_as_often_as_a_walk_by_the_edge_says() -> None:
    """Against walks that are drawn and end where the later detection is."""
    lives = Lives(0.9, 0.0, 0.0)
    process = process_of(6, 2.0)._replace(drift=np.tile([0.3, 0.0], (6, 1)))
    table = pd.DataFrame({"frame": [0, 4, 4], "x_px": [1.0, 0.5, 6.0], "y_px": 200.0, "radius_px": 5.0})
    detections = detections_of(table, (400, 400), 6)
    unseen = unseen_tables(detections, process, lives)
    rng = np.random.default_rng(1)
    x, never = np.full(2_000_000, 1.0), np.ones(2_000_000, bool)
    for t in range(1, 5):
        x = x + 0.3 + 2.0 * rng.standard_normal(x.shape)
        never &= (t == 4) | (x < -0.5) | (rng.random(x.shape) > 0.9)
    for place, log in zip(
        (1, 2), unseen_between(detections, process, unseen, np.zeros(2, int), np.array([1, 2])), strict=True
    ):
        near = np.abs(x - detections.x[place]) < 0.1
        assert math.exp(log) == pytest.approx(never[near].mean(), rel=0.15)
