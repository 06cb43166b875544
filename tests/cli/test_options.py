"""The options of the command line against what they stand for: lists that --help shows without importing torch."""

import inspect

from pyrodrop.cli import options
from pyrodrop.images import CHANNELS
from pyrodrop.workflows.commands.fit import fit_image
from pyrodrop.workflows.fitting.fit import fit
from pyrodrop.workflows.measuring.measure import PROFILES
from pyrodrop.workflows.settings import STARTS


def test_choices_are_those_of_the_workflows() -> None:
    assert options.CHANNELS == CHANNELS
    assert ("auto", *PROFILES) == options.PROFILES
    assert options.STARTS is STARTS


def test_every_option_of_fit_is_an_argument_of_its_workflow() -> None:
    known = inspect.signature(fit_image).parameters.keys() | inspect.signature(fit).parameters.keys()
    assert {setting.keyword for setting in options.JOBS["fit"]} <= known
