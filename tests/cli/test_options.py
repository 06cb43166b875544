"""The options of the command line against what they stand for: lists and names that --help shows without torch."""

import argparse
import inspect
from dataclasses import fields

import pytest

from pyrodrop.cli import options
from pyrodrop.cli.parser import flags_of
from pyrodrop.cli.printing import with_flags
from pyrodrop.images import CHANNELS, ImageError
from pyrodrop.workflows.commands.fit import fit_image
from pyrodrop.workflows.commands.measure import measure_image
from pyrodrop.workflows.commands.subject import FileSettings
from pyrodrop.workflows.commands.where_to_look import RULES, LookSettings
from pyrodrop.workflows.fit_settings import STARTS, FitSettings
from pyrodrop.workflows.measuring.rules import BORDERS, POLARITIES
from pyrodrop.workflows.settings import SettingError


def test_choices_are_those_of_the_workflows() -> None:
    assert options.CHANNELS == CHANNELS
    assert options.STARTS is STARTS
    choices = {setting.keyword: dict(setting.how).get("choices") for setting in options.JOBS["measure"]}
    assert (
        (choices["polarity"], choices["border"])
        == (("bright", "dark", "both"), ("keep", "drop"))
        == (POLARITIES, BORDERS)
    )


def test_every_option_of_a_job_is_an_argument_of_its_workflow() -> None:
    file = FileSettings.__annotations__.keys()
    fit = inspect.signature(fit_image).parameters.keys() | {field.name for field in fields(FitSettings)} | file
    assert {setting.keyword for setting in options.JOBS["fit"]} <= fit
    measure = inspect.signature(measure_image).parameters.keys() | file | LookSettings.__annotations__.keys() | {*RULES}
    assert {setting.keyword for setting in options.JOBS["measure"]} <= measure


def test_a_message_names_the_flag_of_a_setting_and_leaves_names_of_files_alone() -> None:
    flags = flags_of("measure")
    assert (flags["white"], flags["tile_workers"], flags["seed"]) == ("--white-level", "--workers", "--seed")
    error = SettingError("out /data/out is not a folder; name another", "out")
    assert with_flags(error, flags) == "--out /data/out is not a folder; name another"
    error = SettingError("white.tif needs its white level: give white=4095, or white=255 if it is dark", "white")
    assert with_flags(error, flags) == (
        "white.tif needs its white level: give --white-level 4095, or --white-level 255 if it is dark"
    )
    # Without a list of settings a message is left as it is.
    assert with_flags(ImageError("the frame is cut"), flags) == "the frame is cut"


def test_a_decimal_comma_is_answered_with_the_point() -> None:
    assert options.number("0.5") == 0.5
    with pytest.raises(argparse.ArgumentTypeError, match=r"got '0,5'; with a point it is 0\.5"):
        options.number("0,5")
    with pytest.raises(argparse.ArgumentTypeError, match=r"got 'wide'$"):
        options.number("wide")
