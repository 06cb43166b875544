"""A batch with priors and a family of noise: its results are of these, and of no others."""

import json
from pathlib import Path
from typing import Any

import pyro.distributions as dist
import pytest
from worker_here import worker_here

import pyrodrop
from pyrodrop.images import write_png
from pyrodrop.models import CameraNoise, StudentNoise
from pyrodrop.results.page.method_text import method_text
from pyrodrop.results.storage.result_folder import read_results
from pyrodrop.workflows.batch.batch import batch
from pyrodrop.workflows.settings import SettingError

ASSUMED = {"priors": {"r": dist.LogNormal(1.3, 0.4), "amplitude": dist.Normal(0.4, 0.3)}, "noise": StudentNoise(5.0)}
JOBS: dict[str, dict[str, Any]] = {
    "fit": {"channel": "saturation", "n_droplets": 5, "steps": 20, "error_scale": 0.05, "device": "cpu"},
    "measure": {"channel": "saturation", "profile": "gaussian", "device": "cpu"},
}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("images") / "5.png"
    write_png(pyrodrop.simulate(5, (100, 140), seed=5)[0], path)
    return path


@pytest.mark.parametrize("job", JOBS)
def test_results_are_of_what_was_assumed(job: str, image: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def done_before(**assumed: Any) -> int:
        with worker_here():
            return int(batch([image], out, job=job, progress=False, **JOBS[job], **assumed)["done_before"])

    assert done_before(**ASSUMED) == 0
    assert done_before(**ASSUMED) == 1
    words = json.loads(next(out.glob("*/summary.json")).read_text())
    assert words["priors"]["r"] == "LogNormal(loc=1.3, scale=0.4)"
    assert words["noise_family"] == "student (df=5)"
    text = method_text(read_results(next(out.glob("*/summary.json")).parent))
    assert "The noise was taken to be student (df=5)." in text
    assert "Priors were r ~ LogNormal(loc=1.3, scale=0.4), amplitude ~ Normal(loc=0.4, scale=0.3)." in text
    other = {"r": dist.LogNormal(1.3, 0.41), "amplitude": dist.Normal(0.4, 0.3)}
    assert done_before(priors=other, noise=StudentNoise(5.0)) == 0
    assert done_before(priors=ASSUMED["priors"], noise=CameraNoise(0.001)) == 0
    assert done_before() == 0


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize(
    ("assumed", "words"),
    [
        ({"priors": {"radius": dist.LogNormal(1.3, 0.4)}}, "'radius'; the sites that can have one are"),
        ({"priors": {"r": 3.0}}, "give a distribution"),
        ({"noise": "poisson"}, "noise is 'poisson'"),
    ],
)
def test_what_no_image_could_be_worked_on_with_is_refused_before_any(
    job: str, assumed: dict[str, Any], words: str, image: Path, tmp_path: Path
) -> None:
    with worker_here(), pytest.raises(SettingError, match=words):
        batch([image], tmp_path / "out", job=job, progress=False, **JOBS[job], **assumed)
