"""The package on a device that refuses to mix with the CPU, as CUDA does: see ``second_device``."""

import json

import pytest
from devices import answers
from devices.asking import SLOW
from fresh_python import run_python

NAMES = [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in answers.QUESTIONS]


@pytest.fixture(scope="module")
def answered(request: pytest.FixtureRequest) -> dict[str, str]:
    """The answers to the questions of the tests that are run, asked in one process."""
    items = [item for item in request.session.items if item.path == request.path]
    names = [item.callspec.params["name"] for item in items if isinstance(item, pytest.Function)]
    done = run_python("-m", "devices.answers", *names)
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("name", NAMES)
def test_on_a_second_device(name: str, answered: dict[str, str]) -> None:
    if answered[name]:
        pytest.fail(answered[name], pytrace=False)
