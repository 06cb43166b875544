"""Asks the questions of a second device, in a process of its own: ``python -m devices.answers``.

The answers are printed as JSON: of each question the trace of what was raised, or nothing.
"""

import json
import sys
import traceback
import warnings

from devices import batches, drawing, fitting, joining, learning, measuring, refusals  # noqa: F401  # their questions
from devices.asking import QUESTIONS
from devices.second_device import NAME, set_up

from pyrodrop.workflows import settings


def asked(names: list[str]) -> dict[str, str]:
    """The answers to the questions of these names, or to all."""
    answers = {}
    for name in names or list(QUESTIONS):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                QUESTIONS[name]()
            answers[name] = ""
        except Exception:
            answers[name] = traceback.format_exc()
    return answers


if __name__ == "__main__":
    set_up()
    settings.DEVICES = (*settings.DEVICES, NAME)
    print(json.dumps(asked(sys.argv[1:])))
