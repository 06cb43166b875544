"""What ``help(pyrodrop.NAME)`` shows: every public function says what it takes and gives, and its example runs."""

import doctest
import inspect
import re

import pytest

import pyrodrop

FUNCTIONS = [name for name in pyrodrop.__all__ if inspect.isfunction(getattr(pyrodrop, name))]
MODELS = ("centres", "colours", "rendered", "channel_fit")


def test_there_are_public_functions_to_look_at() -> None:
    assert {"fit", "load", "measure", "read_image", "render", "sample_nuts", "simulate"} <= set(FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_example_of_a_public_function_runs(name: str) -> None:
    found = doctest.DocTestFinder(recurse=False).find(getattr(pyrodrop, name), f"pyrodrop.{name}", globs={})
    assert sum(len(test.examples) for test in found) > 1
    told: list[str] = []
    runner = doctest.DocTestRunner(verbose=False)
    for test in found:
        runner.run(test, out=told.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(told)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_public_function_says_what_it_takes_and_gives_and_refuses(name: str) -> None:
    function = getattr(pyrodrop, name)
    text = inspect.getdoc(function) or ""
    assert [section for section in ("Args:", "Returns:", "Raises:", "Example:") if f"\n{section}\n" not in text] == []
    assert _not_described(function, text) == []


@pytest.mark.parametrize("name", MODELS)
def test_a_model_says_what_it_takes(name: str) -> None:
    model = getattr(pyrodrop.models, name)
    assert _not_described(model, inspect.getdoc(model) or "") == []


def _not_described(function: object, text: str) -> list[str]:
    """Arguments that no line under Args begins with; several may share a line."""
    described = re.findall(r"^    ([\w, ]+):", text.partition("\nArgs:\n")[2].partition("\n\n")[0], flags=re.MULTILINE)
    names = {name for line in described for name in line.split(", ")}
    return [name for name in inspect.signature(function).parameters if name not in names]
