"""The part of ``summary.json`` that every run has."""

import pytest
import torch

import pyrodrop
from pyrodrop.results.storage.summary import SummarisedImage, SummarisedRun, run_summary

IMAGE = SummarisedImage("a.png", (40, 60), "hue", 0.5)


def test_a_summary_says_what_ran_on_what_and_what_came_of_it() -> None:
    losses = torch.cat([torch.full((90,), 8.0), torch.full((10,), 2.0)])
    summary = run_summary(IMAGE, SummarisedRun(7, "cpu", 4.0, losses), 12, {"background": 0.1, "noise": 0.02})
    assert summary == {
        "version": pyrodrop.__version__,
        "seed": 7,
        "device": "cpu",
        "image": "a.png",
        "width": 60,
        "height": 40,
        "channel": "hue",
        "pixel_size_um": 0.5,
        "n_droplets": 12,
        "background": 0.1,
        "noise": 0.02,
        "seconds": 4.0,
        "steps": 100,
        "iterations_per_second": 25.0,
        "first_loss": 8.0,
        "mean_loss_last_tenth": 2.0,
    }


@pytest.mark.parametrize("steps", [1, 9])
def test_the_last_tenth_of_few_steps_is_the_last(steps: int) -> None:
    losses = torch.arange(steps, dtype=torch.float32)
    summary = run_summary(IMAGE, SummarisedRun(0, "cpu", 1.0, losses), 0, {})
    assert summary["mean_loss_last_tenth"] == steps - 1


def test_a_black_level_below_0_is_said() -> None:
    summary = run_summary(IMAGE._replace(black_level=-3.5), SummarisedRun(0, "cpu", 1.0), 0, {})
    assert summary["black_level"] == -3.5
    assert "black_level" not in run_summary(IMAGE, SummarisedRun(0, "cpu", 1.0), 0, {})


def test_a_run_without_losses_has_no_steps() -> None:
    summary = run_summary(IMAGE, SummarisedRun(0, "cpu", 1.0), 0, {})
    assert "steps" not in summary
    assert "first_loss" not in summary
