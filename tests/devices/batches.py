"""Batches on the second device, by workers of Dask that are threads of this process, which has the device."""

import json
import tempfile
from pathlib import Path

from devices.asking import slow_question
from devices.second_device import NAME
from distributed import LocalCluster

import pyrodrop
from pyrodrop.cli import main
from pyrodrop.images import write_png


@slow_question
def a_batch_measures_and_fits() -> None:
    options = {"processes": False, "protocol": "tcp", "n_workers": 1, "threads_per_worker": 1}
    jobs = {"measure": ["--profile", "gaussian"], "fit": ["--droplets", "2", "--steps", "3", "--channel", "gray"]}
    with tempfile.TemporaryDirectory() as folder, LocalCluster(dashboard_address=None, **options) as cluster:
        for seed in (1, 2):
            image, _ = pyrodrop.simulate(4, (64, 80), seed, kind="gray", radius_px=(3, 6), noise=0.02)
            write_png(image, Path(folder) / f"{seed}.png")
        for job, how in jobs.items():
            out = Path(folder) / job
            where = ["--device", NAME, "--scheduler", cluster.scheduler_address, "--out", str(out), "--quiet", "--json"]
            assert main(["batch", f"{folder}/*.png", "--job", job, *how, *where]) == 0
            said = [json.loads(summary.read_text()) for summary in out.glob("**/*/summary.json")]
            assert [one["device"] for one in said] == [NAME, NAME]
