"""Droplets found and measured on the second device, where the network and the joint fit's pixels are."""

import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile
import torch
from devices.asking import question, slow_question, waits
from devices.second_device import NAME

import pyrodrop
from pyrodrop.cli import main
from pyrodrop.detection.propose import propose
from pyrodrop.workflows.tiles.measure_tiles import measure_tiles


def pixels(size: tuple[int, int] = (90, 120)) -> np.ndarray:
    """A small image of eight discs."""
    image, _ = pyrodrop.simulate(8, size, seed=1, kind="gray", profile="disc", radius_px=(4.0, 7.0), noise=0.02)
    return image.channel("gray").numpy()


def alike(here: pd.DataFrame, there: pd.DataFrame) -> bool:
    """Whether two tables have the same droplets, but for rounding."""
    numbers = ["x_px", "y_px", "radius_px", "presence"]
    return len(here) == len(there) and np.allclose(here[numbers], there[numbers], atol=1e-3)


@question
def the_network_proposes_what_it_does_on_the_cpu() -> None:
    here, there = (propose(pixels(), device=device) for device in ("cpu", NAME))
    assert len(there) >= 8
    assert torch.allclose(here.circles, there.circles, atol=1e-3)
    assert torch.allclose(here.presence, there.presence, atol=1e-4)


@question
def the_host_waits_for_the_network_no_more_often_in_a_larger_image() -> None:
    propose(pixels(), device=NAME)  # the network is sent there once
    sizes = (90, 120), (100, 130), (180, 180)  # the last two are seen halved, too
    one_scale, small, large = (waits(lambda size=size: propose(pixels(size), device=NAME)) for size in sizes)
    assert one_scale <= 40
    assert small == large <= 2 * one_scale


@question
def an_image_is_measured_as_on_the_cpu() -> None:
    here, there = (pyrodrop.measure(pixels(), profile="disc", device=device) for device in ("cpu", NAME))
    assert len(here.table) == 8
    assert alike(here.table, there.table)
    assert here.count.quantile(0.5) == there.count.quantile(0.5)


@slow_question
def a_file_is_measured_by_the_command() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / "image.tif", Path(folder) / "out"
        tifffile.imwrite(path, pixels())
        argv = ["measure", str(path), "--profile", "disc", "--device", NAME, "--out", str(out), "--quiet"]
        assert main(argv) == 0
        assert json.loads((out / "summary.json").read_text())["device"] == NAME
        assert len(pd.read_csv(out / "droplets.csv")) == 8


@slow_question
def tiles_are_measured_as_on_the_cpu() -> None:
    with tempfile.TemporaryDirectory() as folder:
        tables = []
        for device in ("cpu", NAME):
            out = Path(folder) / device
            said = measure_tiles(pixels((180, 200)), out, tile_px=100, profile="disc", device=device, progress=False)
            assert said["device"] == device
            tables.append(pd.read_csv(out / "droplets.csv"))
        assert alike(*tables)
